"""The challenge classes and the reliability of probabilities."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from coreloss.edges import ELEMENTS
from coreloss.evaluate.reliability import reliability
from coreloss.identification import load_model

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def challenges():
    """The benchmark's module, which lies outside the package."""
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not part of this copy")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import challenges as module
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


def test_there_are_twenty_classes_or_more_and_all_can_be_read(challenges) -> None:
    paths = sorted(challenges.FOLDER.glob("*.toml"))
    assert len(paths) >= 20
    for path in paths:
        challenge = challenges.load_challenge(path)
        assert challenge.description.endswith(".")
        assert len(challenge.cause.split()) > 8, path.name


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("lanthanides-n45", {"La", "Ce", "Pr", "Nd", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er",
                             "Tm", "Yb"}),
        ("narrow", None),
        ("edge-free", set()),
    ],
)  # fmt: skip
def test_classes_hold_what_they_say(challenges, name: str, inside: set[str] | None) -> None:
    challenge = challenges.load_challenge(challenges.FOLDER / f"{name}.toml")
    batch = challenges.simulate_challenge(challenge, 12, 3)
    again = challenges.simulate_challenge(challenge, 12, 3)
    assert np.array_equal(batch.counts, again.counts)
    held = {ELEMENTS[i] for i in np.flatnonzero(batch.present.any(axis=0))}
    if inside is None:
        assert batch.present.sum(axis=1).max() == 1
        assert (batch.size * batch.dispersion <= 45.0 + 1e-6).all()
    else:
        assert held <= inside
        assert bool(held) == bool(inside)


def test_shifted_axes_are_off_by_what_was_asked(challenges) -> None:
    challenge = challenges.load_challenge(challenges.FOLDER / "axis-shifted.toml")
    batch = challenges.simulate_challenge(challenge, 12, 3)
    assert (np.abs(batch.draws.shift_ev) >= 8.0).all()
    assert (np.abs(batch.draws.shift_ev) <= 40.0).all()


def test_a_class_is_scored(challenges, step_bundle: Path) -> None:
    challenge = challenges.load_challenge(challenges.FOLDER / "edge-free.toml")
    values = challenges.score(challenge, load_model(step_bundle), 4, 1, 0)
    assert 0.0 <= values["network"]["exact_match"] <= 1.0
    assert 0.0 <= values["whole"]["exact_match"] <= 1.0
    # one record is the first of both
    assert values["first"]["exact_match"] in (0.0, 1.0)
    assert "first" not in challenges.score(challenge, load_model(step_bundle), 2, 0, 0)


def test_a_wrong_file_is_named(challenges, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('description = "x"\n[sample]\nany_of = [{}]\n[record]\nlength = [1, 2]\n')
    with pytest.raises(ValueError, match=r"wrong\.toml: unknown length"):
        challenges.load_challenge(path)


def test_honest_probabilities_have_no_calibration_error() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(size=200_000)
    honest = reliability(p, rng.uniform(size=p.size) < p)
    assert honest.error < 0.006
    assert honest.number.sum() == p.size
    boastful = reliability(p, rng.uniform(size=p.size) < p**2)
    assert boastful.error == pytest.approx(1 / 6, abs=0.01)
    assert honest.to_dict()["error"] < boastful.to_dict()["error"]


def test_only_likely_predictions_can_be_asked_for() -> None:
    p, y = np.array([0.001, 0.3, 0.9]), np.array([True, False, True])
    assert reliability(p, y, least=0.02).number.sum() == 2
    with pytest.raises(ValueError, match="no probability reaches"):
        reliability(p, y, least=0.95)
    with pytest.raises(ValueError, match="must agree"):
        reliability(p, y[:2])
