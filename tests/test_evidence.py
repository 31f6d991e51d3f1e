"""Evidence: every edge of the candidates, and the fit without each of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import coreloss
from coreloss.cli import main
from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis
from coreloss.identification import Identification
from coreloss.identification.candidates import (
    CandidateSet,
    candidate_sets,
    likeliest_readings,
    rival_groups,
    rivals,
)
from coreloss.identification.evidence import FEATURES, combined, gather
from coreloss.identification.judgement import judgement
from coreloss.identification.physics import (
    Column,
    binned,
    columns_of,
    designs,
    discounted,
    fit_hypotheses,
    problem_of,
    shapes_at,
    solutions,
)
from coreloss.identification.positions import found_edges
from coreloss.simulate import simulate_sample

ALL = frozenset(ELEMENTS)


@pytest.fixture(scope="module")
def ferrite() -> tuple[np.ndarray, EnergyAxis]:
    """Fe and O from 460 to 860 eV."""
    batch = simulate_sample({"Fe": 2, "O": 3}, start_ev=460.0, end_ev=860.0, counts=1e5, seed=2)
    axis = EnergyAxis(float(batch.offset[0]), float(batch.dispersion[0]), int(batch.size[0]))
    return np.asarray(batch.counts[0], dtype=float), axis


def _network(**values: float) -> dict[str, float]:
    return {symbol: values.get(symbol, 0.001) for symbol in ELEMENTS}


def test_resonances_are_mixtures_of_early_late_narrow_and_wide_ones() -> None:
    """So a fit tells where a solid has its maximum, though the table has one place."""
    columns = columns_of("Nd", 60.0)
    lines = [c for c in columns if c.kind == "line" and c.groups == ("N45",)]
    assert len(lines) == 5
    assert all(c.shape.min() >= 0.0 for c in lines)
    atom = next(c for c in columns if c.kind == "atom" and "N45" in c.groups)
    places = [c.onset_ev + c.delay_ev for c in lines]
    assert min(places) < atom.onset_ev + atom.delay_ev - 2.0
    assert max(places) > atom.onset_ev + atom.delay_ev + 2.0
    # a late, wide resonance on a power law: what the library's one shape leaves, mixtures explain
    energies = np.arange(80.0, 200.0, 0.5)
    wide = max(lines, key=lambda c: c.shape[: c.shape.size // 2].sum())
    counts = 1e5 * ((energies / 100.0) ** -3 + 0.5 * shapes_at([wide], energies[None])[0, 0])
    bins = binned(counts, EnergyAxis(80.0, 0.5, energies.size))
    here = np.zeros(1), np.ones(1)
    alone = fit_hypotheses(bins, [c for c in columns if c.kind != "line"], *here).chi2[0]
    assert fit_hypotheses(bins, columns, *here).chi2[0] < 0.2 * alone


def test_heights_are_those_of_resonances_as_solids_have_them() -> None:
    energies = np.arange(80.0, 200.0, 0.5)
    axis = EnergyAxis(80.0, 0.5, energies.size)
    lines = [c for c in columns_of("Nd", 60.0) if c.kind == "line" and c.groups == ("N45",)]
    for line in lines:
        resonance = 5e4 * shapes_at([line], energies[None])[0, 0]
        found = found_edges(1e5 * (energies / 100.0) ** -3 + resonance, axis, ["Nd"])
        height = next(edge.height for edge in found if edge.group == "N45")
        assert 0.75 * resonance.max() < height < 1.02 * resonance.max()


def test_true_elements_gain_and_wrong_ones_do_not(ferrite) -> None:
    counts, axis = ferrite
    proof = gather(counts, axis, _network(Fe=0.6, O=0.6, Ba=0.4), ALL, 0.5)
    ratio = {symbol: e.likelihood_ratio for symbol, e in proof.elements.items()}
    assert min(ratio["Fe"], ratio["O"]) > 30.0
    assert ratio["Ba"] < 0.2 * ratio["O"]
    iron = proof.elements["Fe"].edges[0]
    assert iron.label == "Fe L2,3"
    assert iron.snr > 8.0
    assert iron.jump_ratio > 0.05
    assert iron.found_ev == pytest.approx(708.0, abs=5.0)
    assert proof.elements["Fe"].bic < ratio["Fe"]


def test_background_and_parts_add_up(ferrite) -> None:
    counts, axis = ferrite
    proof = gather(counts, axis, _network(Fe=0.9, O=0.9), ALL, 0.5)
    total = proof.background + sum(proof.contributions.values()) + proof.residual
    assert total == pytest.approx(proof.counts)
    inner = slice(5, -5)
    # the sample may have a spike, which no part explains
    assert np.quantile(np.abs(proof.residual[inner]), 0.98) < 0.1 * proof.counts.max()
    below = proof.energies < 520.0
    assert proof.contributions["O"][below].max() < 0.02 * proof.contributions["O"].max()


def test_a_fit_is_not_worse_with_more_columns(ferrite) -> None:
    counts, axis = ferrite
    bins = binned(counts, axis)
    zero, one = np.zeros(1), np.ones(1)
    few = fit_hypotheses(bins, columns_of("Fe"), zero, one).chi2[0]
    more = fit_hypotheses(bins, [*columns_of("Fe"), *columns_of("O")], zero, one).chi2[0]
    none = fit_hypotheses(bins, [], zero, one).chi2[0]
    assert more <= few * (1 + 1e-9) <= none * (1 + 1e-9)
    assert none == pytest.approx(float(bins.rest @ bins.rest))


def test_backgrounds_hold_no_direction_of_mere_rounding() -> None:
    axis = EnergyAxis(400.0, 1.0, 120)
    rising, falling = 1e4 + 10.0 * np.arange(120.0), 1e4 * (axis.energies / 400.0) ** -3
    # the power law of what rises is the constant itself
    assert binned(rising, axis).basis.shape[1] + 1 == binned(falling, axis).basis.shape[1]


def test_problems_solved_together_are_solved_as_by_themselves(ferrite) -> None:
    counts, axis = ferrite
    bins = binned(counts, axis)
    shifts = np.array([-3.0, 0.0, 2.0])
    sets = [columns_of("Fe"), [], columns_of("O"), [*columns_of("Fe"), *columns_of("Ba")]]
    problems = [problem_of(bins, designs(bins, one, shifts, np.ones(3))) for one in sets]
    for columns, fits in zip(sets, solutions(problems), strict=True):
        alone = fit_hypotheses(bins, columns, shifts, np.ones(3))
        assert fits.chi2 == pytest.approx(alone.chi2, rel=1e-9)
        assert fits.amplitudes == pytest.approx(alone.amplitudes, abs=1e-9)


def test_ratios_are_those_of_fits_without_the_element(ferrite) -> None:
    counts, axis = ferrite
    proof = gather(counts, axis, _network(Fe=0.9, O=0.9, Ba=0.3), ALL, 0.5)
    # likely elements lie where their edges were found, the others where the table has them
    edges = [edge for edge in found_edges(counts, axis, ["Fe", "O", "Ba"]) if edge.symbol != "Ba"]
    moves = {
        (edge.symbol, edge.group): 9.0 / (9.0 + edge.error_ev**2) * (edge.found_ev - edge.onset_ev)
        for edge in edges
        if edge.snr >= 3.0
    }

    def columns(*symbols: str) -> list[Column]:
        return [
            moved
            for symbol in symbols
            for column in columns_of(symbol)
            for moved in [column.moved(moves.get((symbol, column.groups[0]), 0.0))]
            if bins.energies[0] < moved.onset_ev < bins.energies[-1]
        ]

    def chi2(*symbols: str) -> float:
        return float(fit_hypotheses(bins, columns(*symbols), np.zeros(1), np.ones(1)).chi2[0])

    # what the first fit misses by more than its variance counts less in the second
    bins = binned(counts, axis)
    everything = columns("Fe", "O", "Ba")
    amplitude = fit_hypotheses(bins, everything, np.zeros(1), np.ones(1)).amplitudes[:, 0]
    rest = counts - amplitude @ shapes_at(everything, bins.energies[None])[:, 0] * bins.scale
    smooth = bins.basis @ (bins.basis.T @ (rest * bins.weight)) / bins.weight
    bins = discounted(bins, counts - rest + smooth)
    full = chi2("Fe", "O", "Ba")
    unit = max(1.0, full / bins.counts.size)
    for symbol, others in (("Fe", "O Ba"), ("O", "Fe Ba"), ("Ba", "Fe O")):
        expected = (chi2(*others.split()) - full) / unit
        assert proof.elements[symbol].likelihood_ratio == pytest.approx(expected, abs=1e-3)


def test_rejected_candidates_are_explained(ferrite) -> None:
    counts, axis = ferrite
    proof = gather(counts, axis, _network(Fe=0.9, O=0.9, Sb=0.3, F=0.3), ALL, 0.5)
    text = proof.text(("Fe", "O"))
    assert "Fe L2,3" in text
    for element in proof.rejected(("Fe", "O")):
        assert element.reason
        assert f"not {element.symbol}: " in text


def test_more_evidence_gives_more_probability() -> None:
    weights = np.array(judgement()["combine"])
    assert weights.shape == (1 + len(FEATURES),)
    weak = np.array([0.0, np.log1p(1.0), np.log1p(2.0), 0.0])
    strong = np.array([0.0, np.log1p(400.0), np.log1p(20.0), 0.0])
    surer = strong + np.array([3.0, 0, 0, 0])
    assert combined(weak, weights) <= combined(strong, weights) < combined(surer, weights)


def test_the_command_explains(ferrite, step_bundle: Path, tmp_path: Path, capsys) -> None:
    counts, axis = ferrite
    file = tmp_path / "ferrite.csv"
    np.savetxt(file, np.stack([axis.energies, counts], axis=1), delimiter=",")
    picture = tmp_path / "out.png"
    options = ["identify", str(file), "--model", str(step_bundle)]
    assert main([*options, "--explain", "--plot", str(picture)]) == 0
    said = capsys.readouterr().out
    assert "found at [eV]" in said
    assert picture.stat().st_size > 10_000
    assert main([*options, "--json", "--axis", "shift=2"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["axis"]["shift_ev"] == 2.0
    assert record["evidence"][0]["edges"]
    assert main([*options, "--axis", "sideways"]) == 2
    assert main([*options, "--explain", "--no-evidence"]) == 2


def test_rivals_share_an_energy() -> None:
    wide = EnergyAxis(60.0, 1.0, 200)
    table = rivals(["Pr", "Nd", "Si"], wide)
    assert "Nd" in table["Pr"]
    assert "Pr" in table["Nd"]
    assert table["Si"] == frozenset()


def test_sets_hold_the_least_members_that_suffice() -> None:
    axis = EnergyAxis(60.0, 1.0, 200)
    values = _network(Pr=0.55, Nd=0.42, Sm=0.031, Si=0.97)
    groups = rival_groups(values, ALL, axis)
    (group,) = candidate_sets(values, groups, 0.5, weight=0.9, least=0.0)
    assert group.members == ("Pr", "Nd")
    # at least as probable as its likeliest member; how much more is fitted
    assert 0.55 < group.probability < 1.0
    assert sum(group.weights) == pytest.approx(1.0)
    assert str(group) == f"Pr or Nd ({group.probability:.2f} together)"
    assert candidate_sets(values, groups, 0.5, weight=0.9, least=0.999) == ()
    # one of them clear, or both: nothing is open
    for nd in (0.01, 0.98):
        values = _network(Pr=0.99, Nd=nd)
        assert candidate_sets(values, rival_groups(values, ALL, axis), 0.5, weight=0.9) == ()


def test_the_likeliest_of_readings_that_exclude_each_other_is_named() -> None:
    axis = EnergyAxis(60.0, 1.0, 200)

    def likeliest(**of: float) -> tuple[CandidateSet, ...]:
        values = _network(**of)
        return likeliest_readings(values, rival_groups(values, ALL, axis), 0.5)

    (group,) = likeliest(Pr=0.45, Nd=0.40, Si=0.97)
    assert group.members == ("Pr", "Nd")
    # "none of them" is more probable than either
    assert likeliest(Pr=0.25, Nd=0.20) == ()
    # one is found already, or nobody else could be meant
    assert likeliest(Pr=0.55, Nd=0.40) == ()
    assert likeliest(Pr=0.45) == ()


def test_an_open_reading_is_found_and_says_what_else_it_could_be() -> None:
    axis = EnergyAxis(60.0, 1.0, 200)
    values = _network(Pr=0.45, Nd=0.40, Si=0.97)
    result = Identification(
        values,
        0.5,
        "some 1",
        axis,
        np.ones(200),
        frozenset(ALL),
        open=likeliest_readings(values, rival_groups(values, ALL, axis), 0.5),
    )
    assert result.found == ("Si", "Pr")
    said = {entry["symbol"]: entry for entry in result.to_dict()["elements"]}
    assert said["Pr"]["likeliest_of"] == ["Pr", "Nd"]
    assert said["Pr"]["probability"] == 0.45
    assert "likeliest_of" not in said["Si"]
    assert "could be Nd instead" in result.table()
    assert "Nd" in result.absent


def test_probability_is_kept_in_the_answer(ferrite, step_bundle: Path) -> None:
    counts, axis = ferrite
    result = coreloss.identify(counts, axis, model=step_bundle, evidence=True)
    assert result.evidence is not None
    for symbol, element in result.evidence.elements.items():
        assert result.probabilities[symbol] == element.probability


def test_probabilities_above_the_threshold_are_not_called_below_it(ferrite) -> None:
    counts, axis = ferrite
    proof = gather(counts, axis, _network(Fe=0.9, O=0.9), ALL, 0.5)
    chances = _network(Fe=0.7, Ba=0.2)
    for edge, said in (
        (0.1, "possible, if there is an edge at all: Fe 70 %, Ba 20 %"),
        (0.99, "possible, below the threshold of 50 %: Ba 20 %"),
    ):
        result = Identification(
            chances, 0.5, "x", axis, counts, ALL, evidence=replace(proof, edge=edge)
        )
        assert said in result.table()


def test_steps_of_the_zero_loss_belong_to_no_element(ferrite) -> None:
    counts, axis = ferrite
    proof = gather(counts, axis, _network(Fe=0.9, O=0.9), ALL, 0.5)
    stepped = replace(proof, counts=proof.counts + 1e5 * (proof.energies > 500.0))
    assert "a step near 50" in stepped.unexplained([])
    nothing = Identification(_network(), 0.5, "x", axis, counts, ALL, evidence=stepped)
    assert "belongs to none of those that it could show" in nothing.table()
    assert replace(stepped, energies=proof.energies - 490.0).strongest_rest[0] > 30.0
