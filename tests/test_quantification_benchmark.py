"""What the benchmark of quantification says of repeated readings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from spectrum_images import AXIS, MICROSCOPE, image_counts

from coreloss.energy import Spectra
from coreloss.maps import Quantification, quantify

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    """The benchmark's module, which lies outside the package."""
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not part of this copy")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import quantification as module
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


def readings(*elements: str) -> Quantification:
    """A hundred readings of the same O and Ti, the first without counts."""
    counts = image_counts((100, 2))[:, 0].astype(float)
    counts[0] = 0.0
    return quantify(Spectra(counts, AXIS), elements, near_edge="none", thickness=0.0, **MICROSCOPE)


@pytest.mark.parametrize("elements", [("O", "Ti"), ("O", "Ti", "N")])
def test_stated_errors_are_those_of_readings_that_scatter_by_counting(
    benchmark, elements: tuple[str, ...]
) -> None:
    result = readings(*elements)
    seen = benchmark.Readings.of(result, ("Ti", "O"))
    ratio = (result.amounts[:, 1] / result.amounts[:, 0])[1:]
    assert seen.ratio == pytest.approx(ratio.mean())
    assert seen.scatter == pytest.approx(ratio.std() / ratio.mean())
    assert seen.near == pytest.approx(seen.scatter, rel=0.3)
    assert seen.stated / seen.scatter == pytest.approx(1.0, abs=0.25)


def test_a_row_of_the_automatic_table_has_the_columns_of_its_head(benchmark) -> None:
    result = readings("O", "Ti")
    columns = 5 + len(benchmark.SCATTER.split("|"))
    for pair in (("Ti", "O"), ("Ti", "Fe")):
        row = benchmark.automatic_row("set", pair, 0.5, result)
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        assert len(cells) == columns
        assert cells[:2] == ["set", "O, Ti"]
    seen = benchmark.Readings.of(result, ("Ti", "O"))
    row = benchmark.automatic_row("set", ("Ti", "O"), 0.5, result)
    assert f"| {100 * seen.scatter:.2f} % |" in row
    assert f"| {seen.stated / seen.scatter:.2f} |" in row
    assert np.isfinite(seen.stated)
