"""What is there maps and identification tell; a quantification says how much, denying nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from spectrum_images import MICROSCOPE

from coreloss import identify
from coreloss.energy import EnergyAxis, Spectra
from coreloss.fit import design_matrix, fit_spectra
from coreloss.fit.mismatch import Mismatch
from coreloss.maps import quantify
from coreloss.maps.amounts import Quantification
from coreloss.maps.elements import ElementMaps
from coreloss.maps.support import SIGNIFICANT, _on_axis, significance, untold
from coreloss.maps.wording import counted, listed, of_all

SPECTRA, LAYER = 60, slice(27, 33)
# the record ends soon after the near-edge region of Mn, in which its white lines are
AXIS = EnergyAxis(400.0, 1.0, 315)


@pytest.fixture(scope="module")
def layered() -> Spectra:
    """A line scan through TiO2 with a layer of MnO2, by a detector with a pattern of its own."""
    rng = np.random.default_rng(4)
    design = design_matrix(["Ti", "O", "Mn"], AXIS, near_edge="none", **MICROSCOPE)
    titanium, oxygen, manganese = design.matrix[:, design.amplitude].T
    energy = AXIS.energies
    for column, places in ((titanium, (459.0, 464.0)), (manganese, (643.0, 653.0))):
        for place, share in zip(places, (0.6, 0.4), strict=True):
            line = np.exp(-0.5 * ((energy - place) / 1.5) ** 2) / (1.5 * np.sqrt(2.0 * np.pi))
            column += 30.0 * share * np.interp(places[1] + 30.0, energy, column) * line
    layer = np.zeros((SPECTRA, 1))
    layer[LAYER] = 1.0
    edges = 2.0 * oxygen + layer * manganese + (1.0 - layer) * titanium
    clean = 3e4 * ((energy / 400.0) ** -3 + 0.8 * edges / edges.max())
    pattern = 1.0 + 0.01 * rng.normal(size=AXIS.size)
    return Spectra(rng.poisson(clean * pattern).astype(np.float32), AXIS)


def test_a_layer_that_maps_show_is_not_denied(layered: Spectra) -> None:
    result = quantify(layered, **MICROSCOPE)
    assert result.maps is not None
    assert set(result.maps.elements) == {"O", "Ti", "Mn"}
    assert set(result.maps.elements) == {*result.elements, *result.not_quantified}
    # its white lines are left out, and of what is behind them too little is in the sum
    assert "Mn" in result.not_quantified or result.total["Mn"]["likelihood_ratio"] < SIGNIFICANT
    text = result.table()
    assert "cannot be told" in text or "amount not significant" in text
    assert "not supported" not in text


def test_a_single_spectrum_holds_what_identify_finds_in_it(layered: Spectra) -> None:
    layer = np.asarray(layered.counts[LAYER], dtype=float).sum(axis=0)
    found = identify(layer, AXIS, evidence=True).found
    result = quantify(Spectra(layer, AXIS), **MICROSCOPE)
    assert {"O", "Mn"} <= set(found)
    assert set(found) == {*result.elements, *result.not_quantified}


def test_noise_of_a_poor_fit_is_scaled_to_its_misfit() -> None:
    design = design_matrix(["O"], AXIS, near_edge="none", **MICROSCOPE)
    edge = design.matrix[:, design.amplitude[0]]
    clean = 1e6 * ((AXIS.energies / 400.0) ** -3 + 0.02 * edge / edge.max())
    rng = np.random.default_rng(1)
    good = fit_spectra(rng.poisson(clean), design)
    poor = fit_spectra(rng.poisson(clean * (1.0 + 0.03 * rng.normal(size=AXIS.size))), design)
    assert significance(good)[0, 0] == pytest.approx(good.likelihood_ratio[0, 0], rel=0.3)
    assert significance(good)[0, 0] > 10.0 * significance(poor)[0, 0]
    assert poor.likelihood_ratio[0, 0] > 10.0 * significance(poor)[0, 0]


def test_a_share_of_all_spectra_reads_as_a_number() -> None:
    found: Any = Quantification.__new__(Quantification)
    vars(found).update(
        elements=("O",), state=np.zeros(4, np.uint8), likelihood_ratio=np.full((4, 1), 30.0)
    )
    assert found._faint("O") == "amount not significant in the sum, but in 100 % of the spectra"


def test_amounts_are_asked_of_the_sums_that_show_the_element() -> None:
    design = design_matrix(["O", "Ti"], AXIS, near_edge="none", **MICROSCOPE)
    oxygen, titanium = design.matrix[:, design.amplitude].T
    base = (AXIS.energies / 400.0) ** -3

    def counts(share: float) -> np.ndarray:
        edges = oxygen + share * titanium
        return 1e7 * (base + edges / edges.max())

    total = fit_spectra(counts(0.002), design)
    # a tenth of the oxygen's cross section may look like titanium
    response = np.zeros((2, 1, 2))
    response[0, 0, 1] = 0.1
    mismatch = Mismatch(response, 1.0)

    def part(share: float, *found: str) -> Any:
        # the record of a sum may begin later, where its first channels hold no number
        return SimpleNamespace(
            found=found, axis=EnergyAxis(410.0, 1.0, AXIS.size - 10), counts=counts(share)[10:]
        )

    assert set(untold(total, mismatch)) == {"Ti"}
    assert "cannot be told" in untold(total, mismatch)["Ti"]
    assert set(untold(total, mismatch, [part(1.0, "O")])) == {"Ti"}
    assert untold(total, mismatch, [part(1.0, "O", "Ti")]) == {}


@pytest.mark.parametrize("first", [0, 9, 10])
@pytest.mark.parametrize(("offset", "dispersion"), [(400.0, 0.5), (400.2, 0.1)])
def test_sums_keep_their_place_on_the_axis(first: int, offset: float, dispersion: float) -> None:
    """By the boundary of their first channel they lay one beside it, or nowhere at all."""
    axis = EnergyAxis(offset, dispersion, 20)
    part: Any = SimpleNamespace(
        axis=EnergyAxis(offset + first * dispersion, dispersion, 20 - first),
        counts=np.arange(first, 20.0),
    )
    placed = _on_axis(part, axis)
    assert np.isnan(placed[:first]).all()
    np.testing.assert_array_equal(placed[first:], np.arange(first, 20.0))


def test_numbers_and_lists_read_well() -> None:
    assert counted(1, "spectrum", "spectra") == "1 spectrum"
    assert counted(2193, "spectrum", "spectra") == "2,193 spectra"
    assert of_all(1, 294, "is", "are") == "1 of 294 spectra is"
    assert of_all(3, 294, "is", "are") == "3 of 294 spectra are"
    assert of_all(1, 1, "is", "are") == "the spectrum is"
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c"], 2, "cluster", "clusters") == "a, b and 1 more cluster"
    assert listed(["a", "b", "c", "d"], 1) == "a and 3 more"


def test_long_tables_of_maps_are_cut_and_the_csv_is_not() -> None:
    def row(symbol: str, fraction: float, places: list[str], reason: str) -> dict[str, Any]:
        return {
            "symbol": symbol, "fraction": fraction, "mean_probability": fraction,
            "coherence": float("nan"), "likelihood_ratio": 0.0, "found_in": places,
            "kept": not reason, "reason": reason,
        }  # fmt: skip

    clusters = [f"cluster {i} (9 spectra)" for i in range(1, 9)]
    rows = [row("O", 1.0, ["pixels", "sum", *clusters], "")]
    symbols = ["Sb", "Te", "I", "Co", "Ni", "Fe", "Cr", "V", "Sc"]
    rows += [
        row(s, 0.004 - 1e-4 * i, ["1 pixel"], "1 spectrum is too few")
        for i, s in enumerate(symbols)
    ]
    total: Any = SimpleNamespace(gaps=())
    maps: Any = ElementMaps(
        ("O",), np.ones((3, 4, 1), np.float32), 0.5, rows, total, [],
        np.zeros((3, 4), np.int16), np.zeros((3, 4), np.uint8), (), AXIS,
    )  # fmt: skip
    lines = maps.table().splitlines()
    assert lines[1].endswith("pixels, sum, cluster 1 (9 spectra) and 7 more clusters")
    assert len(lines) == 9
    assert lines[-1] == "  dropped too, each of at most 0.3% of the pixels: Cr, V, Sc"
    assert all(symbol in maps.csv() for symbol in symbols)
    assert "cluster 8 (9 spectra)" in maps.csv()
