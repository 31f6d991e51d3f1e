"""Edges that lie elsewhere than the model has them: what amounts do, and what errors say."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from spectrum_images import MICROSCOPE

from coreloss.energy import EnergyAxis, Spectra
from coreloss.fit import LinearFit, Response, design_matrix, fit_spectra, mismatch_of
from coreloss.identification.axis_estimate import AxisEstimate
from coreloss.maps.settled import settled_axis
from coreloss.maps.source import open_image
from coreloss.maps.thickness import typical_low_loss

AXIS = EnergyAxis(130.0, 0.5, 1000)
ELEMENTS = ("B", "N")
PEAKS_EV = {"B": (191.0, 199.0), "N": (402.0, 409.0)}


def edges(moved_ev: tuple[float, float], response: Response) -> np.ndarray:
    """B and N, as many atoms of each, with peaks; each moved, (n_energy,) [1 at most]."""
    out = np.zeros(AXIS.size)
    for symbol, by in zip(ELEMENTS, moved_ev, strict=True):
        axis = EnergyAxis(AXIS.offset - by, AXIS.dispersion, AXIS.size)
        design = design_matrix(
            [symbol], axis, response=response, near_edge="none", background=1, **MICROSCOPE
        )
        column = design.matrix[:, design.amplitude[0]]
        height = np.interp(PEAKS_EV[symbol][0] + 30.0 + by, AXIS.energies, column)
        for place in PEAKS_EV[symbol]:
            column = column + height * np.exp(-0.5 * ((AXIS.energies - place - by) / 2.0) ** 2)
        out += column
    return np.asarray(out)


def fitted(
    moved_ev: tuple[float, float], near_edge: str, thickness: float, seed: int | None = None
) -> LinearFit:
    """Amounts in units of those there are."""
    response = typical_low_loss(thickness, AXIS.dispersion)
    unit = edges((0.0, 0.0), response).max()
    clean = 1e7 * ((AXIS.energies / 130.0) ** -3.2 + 0.5 * edges(moved_ev, response) / unit)
    counts = clean if seed is None else np.random.default_rng(seed).poisson(clean)
    design = design_matrix(
        ELEMENTS, AXIS, response=response, near_edge=near_edge, background=6, **MICROSCOPE
    )
    return fit_spectra(counts * unit / 0.5e7, design, gain=unit / 0.5e7)


@pytest.mark.parametrize("near_edge", ["free", "exclude", "none"])
def test_the_edges_of_whole_atoms_are_known(near_edge: str) -> None:
    response = typical_low_loss(0.8, AXIS.dispersion)
    design, whole = (
        design_matrix(ELEMENTS, AXIS, response=response, near_edge=how, **MICROSCOPE)
        for how in (near_edge, "none")
    )
    wanted = whole.matrix[:, whole.amplitude]
    np.testing.assert_allclose(design.atoms(), wanted, rtol=1e-6, atol=1e-9 * wanted.max())


@pytest.mark.parametrize(("near_edge", "thickness"), [("free", 0.05), ("exclude", 0.1)])
def test_a_moved_edge_seems_more_of_its_element(near_edge: str, thickness: float) -> None:
    at_rest = fitted((0.0, 0.0), near_edge, thickness)
    told = mismatch_of(at_rest).moved
    assert told is not None
    for number, by in enumerate([(1.0, 0.0), (0.0, 1.0)]):
        change = fitted(by, near_edge, thickness).amounts[0] - at_rest.amounts[0]
        assert change[number] > 0.003
        assert told[number] == pytest.approx(change, rel=0.5, abs=0.004)


def test_stated_errors_cover_edges_that_lie_elsewhere() -> None:
    rng = np.random.default_rng(2)
    pulls, without = [], []
    for seed in range(16):
        # each edge by itself, and all by an axis that is off; peaks stay in what is left out
        first, second = np.maximum(rng.normal(0.0, 2.0, 2) + rng.normal(0.0, 1.5), -3.0)
        fit = fitted((first, second), "exclude", 0.1, seed)
        error = np.log(fit.amounts[0, 0] / fit.amounts[0, 1])
        to_ratio = np.array([1.0, -1.0]) / fit.amounts[0]
        mismatch = mismatch_of(fit, 1.5)
        for moved, out in ((mismatch.moved, pulls), (None, without)):
            covariance = replace(mismatch, moved=moved).covariance(fit.amounts)[0]
            out.append(error / np.sqrt(to_ratio @ (covariance + fit.covariance[0]) @ to_ratio))
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.4
    assert np.sqrt(np.mean(np.square(without))) > 1.5 * np.sqrt(np.mean(np.square(pulls)))


def recorded(counts: float, seed: int, waves: float = 0.0) -> tuple[LinearFit, float]:
    """The fit of a record of the model's own edges, and what it holds of each."""
    response = typical_low_loss(0.4, AXIS.dispersion)
    design = design_matrix(ELEMENTS, AXIS, response=response, near_edge="free", **MICROSCOPE)
    edges = design.atoms()
    for number, symbol in enumerate(ELEMENTS):
        beyond = np.maximum(AXIS.energies - PEAKS_EV[symbol][0], 0.0)
        wave = np.exp(-beyond / 80.0) * np.cos(1.7 * np.sqrt(beyond) + number)
        edges[:, number] *= 1.0 + waves * wave
    true = edges.sum(axis=1)
    amount = 0.5 * counts / float(true.max())
    clean = counts * (AXIS.energies / 130.0) ** -3.2 + amount * true
    return fit_spectra(np.random.default_rng(seed).poisson(clean), design), amount


def test_an_axis_that_is_off_moves_all_edges_alike() -> None:
    fit, _ = recorded(300.0, 5)
    none, some = (mismatch_of(fit, error) for error in (0.0, 5.0))
    assert none.places is not None
    assert some.places is not None
    assert np.diag(none.places) == pytest.approx(4.0, rel=0.3)
    assert some.places - none.places == pytest.approx(25.0, rel=0.5)
    more = (some.covariance(fit.amounts) - none.covariance(fit.amounts))[0]
    assert more[0, 1] / np.sqrt(more[0, 0] * more[1, 1]) > 0.9


def test_where_nothing_but_noise_is_left_places_are_known() -> None:
    """A record of the model's own edges tells places by the shapes behind them."""
    placed, stated = [], []
    for counts in (1e4, 1e9):
        fit, amount = recorded(counts, 7)
        mismatch = mismatch_of(fit, 1.5)
        assert mismatch.places is not None
        placed.append(np.sqrt(np.diag(mismatch.places)))
        model = np.sqrt(np.diag(mismatch.covariance(fit.amounts)[0]))
        stated.append(model / fit.amounts[0])
        off = fit.amounts[0] / amount - 1.0
        assert (np.abs(off) < 4.0 * np.hypot(stated[-1], fit.errors[0] / fit.amounts[0])).all()
    assert (placed[0] > 1.5).all()
    assert (placed[1] < 0.5 * placed[0]).all()
    assert (stated[1] < 0.6 * stated[0]).all()


def test_extended_structure_hides_places() -> None:
    """Waves behind edges are taken for no place: the usual error of one stays."""
    mismatch = mismatch_of(recorded(1e7, 8, waves=0.1)[0])
    assert mismatch.places is not None
    assert (np.sqrt(np.diag(mismatch.places)) > 1.5).all()


@pytest.mark.parametrize(
    ("shift", "measured", "error", "left"),
    [(4.0, 4.0, 1.5, 1.5), (0.0, 4.0, 3.0, 5.0), (0.0, np.nan, np.nan, 0.0)],
)
def test_what_is_left_of_an_axis_error(
    monkeypatch: pytest.MonkeyPatch, shift: float, measured: float, error: float, left: float
) -> None:
    estimate = AxisEstimate("auto", shift, 1.0, measured, error, 0.9)
    monkeypatch.setattr(
        "coreloss.maps.settled.identify_spectra",
        lambda *_, **__: [SimpleNamespace(axis_estimate=estimate)],
    )
    image = open_image(Spectra(np.ones((1, AXIS.size)), AXIS))
    moved, said, found = settled_axis(image, np.ones((1, AXIS.size)), "auto", None, 1)  # type: ignore[arg-type]
    assert found == left
    assert moved.axis.offset == AXIS.offset + shift
    assert len(said) == 1
    assert settled_axis(image, np.ones((1, AXIS.size)), "as-recorded", None, 1)[1:] == ([], 0.0)  # type: ignore[arg-type]
