"""Faults of single pixels stop no run; what cannot be quantified is said in one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from spectrum_images import AXIS, LOW_AXIS, MICROSCOPE, SHAPE, image_counts, low_loss_counts

from coreloss.energy import Spectra
from coreloss.maps import Quantification, quantify
from coreloss.maps.source import SpectrumImage


def quantified(counts: np.ndarray, low_loss: np.ndarray | None = None, **changes: Any):
    low = None if low_loss is None else Spectra(low_loss, LOW_AXIS)
    # an exposure ratio gives every pixel its own low loss
    given = {} if low is None else {"exposure_ratio": 10.0}
    options = {**MICROSCOPE, **given, **changes}
    return quantify(Spectra(counts, AXIS), options.pop("elements", ("O", "Ti")), low_loss=low,
                    **options)  # fmt: skip


@pytest.fixture
def row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of pixels a block."""
    blocks = SpectrumImage.blocks
    size = AXIS.size * 4 * SHAPE[1]
    monkeypatch.setattr(SpectrumImage, "blocks", lambda image, _=0: blocks(image, size))


def faulty(kind: str) -> np.ndarray:
    low = low_loss_counts(SHAPE)
    if kind == "empty row":
        low[4] = 0.0
    elif kind == "nan rows":
        low[3:6] = np.nan
    elif kind == "infinite":
        low[2, 2, 30], low[2, 3] = np.inf, np.inf
    elif kind == "negative":
        low[2, 2] -= 1e5
    else:
        low[2, 2] = 0.0
        low[2, 2, 110] = 5.0  # a spike where there is no electron else
    return low


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("kind", ["empty row", "nan rows", "infinite", "negative", "spike"])
def test_pixels_without_a_low_loss_take_the_mean_one(kind: str) -> None:
    counts = image_counts()
    counts[4] = 0.0  # of a whole block nothing was recorded
    one, other = quantified(counts, low_loss_counts(SHAPE)), quantified(counts, faulty(kind))
    assert np.isnan(other.atomic_percent[4]).all()
    assert other.absolute
    np.testing.assert_allclose(other.atomic_percent, one.atomic_percent, atol=1e-2)
    np.testing.assert_allclose(other.amounts, one.amounts, rtol=1e-3)


def test_one_symbol_is_one_element() -> None:
    result = quantified(image_counts()[:2, :2], elements="Ti")
    assert isinstance(result, Quantification)
    assert result.elements == ("Ti",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elements": []}, "no elements are given"),
        ({"gain": 0.0}, "the gain is 0.0 counts per electron"),
        ({"gain": np.nan}, "it must be positive"),
        ({"background": 0}, "a background of 0 power laws"),
        ({"background": -1}, "give at least 1"),
        ({"window_ev": (np.nan, 700.0)}, "give two energies"),
        ({"shift_ev": np.nan}, "cannot be put to nan eV"),
        ({"stretch": 0.0}, "a positive stretch"),
        ({"least_fraction": 2.0}, "must lie between 0 and 1"),
        ({"beam_intensity": -1.0}, "beam intensity is -1.0 counts"),
        ({"bin": 2.5}, r"cannot bin by 2\.5; the image has 8 × 12 pixels"),
    ],
)
def test_impossible_options_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quantified(image_counts(), **changes)


def test_spectra_without_their_background_are_refused() -> None:
    counts = image_counts()
    with pytest.raises(ValueError, match="negative in sum"):
        quantified(counts - 1.5 * counts.mean())


@pytest.mark.parametrize("kind", ["hot", "dead", "four dead"])
@pytest.mark.parametrize("pixels", [1, 96])
def test_channels_that_fail_in_every_spectrum_are_left_out(kind: str, pixels: int) -> None:
    counts = image_counts(dose=20_000.0)
    counts = counts.sum(axis=(0, 1), keepdims=True) if pixels == 1 else counts
    channels = slice(60, 64) if kind == "four dead" else slice(60, 61)
    broken = counts.copy()
    broken[..., channels] = 8.0 * counts.max() if kind == "hot" else 0.0
    one, other = quantified(counts), quantified(broken)
    said = [n for n in other.notes if "left out" in n]
    assert len(said) == 1
    assert "460.0" in said[0]
    assert not [n for n in one.notes if "left out" in n]
    assert not other.design.use[channels].any()
    for symbol in ("O", "Ti"):
        first, second = (r.total[symbol] for r in (one, other))
        assert abs(first["atomic_percent"] - second["atomic_percent"]) < 2.0 * first["error"]
    # and with the element in whose near-edge region they lie alone
    assert quantified(broken, near_edge="free").design.use.sum() == AXIS.size - (
        channels.stop - channels.start
    )


def test_few_counts_make_no_channel_faulty() -> None:
    rng = np.random.default_rng(4)
    dim = rng.poisson(image_counts(dose=40.0) / 10.0)
    for counts in (dim, dim[:1, :1]):
        assert not [n for n in quantified(counts).notes if "left out" in n]
