"""Extended fine structure of simulated edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from coreloss.edges import ELEMENTS
from coreloss.simulate import load_recipe, simulate
from coreloss.simulate.library import N_GRID, edge_library
from coreloss.simulate.near_edge import EXTENDED_EV, extended_structure
from coreloss.simulate.structure import _extended

ABOVE = np.arange(EXTENDED_EV, dtype=np.float32)


def waves(n: int = 400) -> np.ndarray:
    return extended_structure(np.random.default_rng(5), n, ABOVE)


def test_it_begins_beyond_the_near_edge_structure_and_fades() -> None:
    chi = waves()
    assert not chi[:, :11].any()
    largest = np.abs(chi).max(axis=1)
    # measured ones: a few per cent of the edge, rarely more than a fifth
    assert 0.03 < np.median(largest) < 0.12
    assert largest.max() < 0.5
    rms = [float(np.sqrt((chi[:, e : e + 30] ** 2).mean())) for e in (40, 120, 220, 330)]
    assert rms == sorted(rms, reverse=True)
    assert rms[-1] < 0.15 * rms[0]


def test_its_waves_tell_distances_between_atoms() -> None:
    """χ over the wavenumber is made of the frequencies 2R, with R from 1.5 to 5.7 Å."""
    k = np.linspace(3.0, 9.5, 512)
    chi = np.stack([np.interp((k / 0.5123) ** 2, ABOVE, row) for row in waves()])
    window = np.hanning(k.size)
    power = np.abs(np.fft.rfft(chi * k * window, 8192, axis=1)) ** 2
    distance = np.pi * np.fft.rfftfreq(8192, k[1] - k[0])  # 2 k R = 2π f k
    resolved = (distance > 1.1) & (distance < 6.3)
    share = power[:, resolved].sum(axis=1) / power.sum(axis=1)
    assert np.median(share) > 0.95
    peak = distance[power.mean(axis=0).argmax()]
    assert 1.4 < peak < 3.1


def test_each_step_of_an_edge_has_it_behind_its_onset() -> None:
    library = edge_library(False, True)
    recipe = replace(load_recipe("default"), extended_fraction=1.0)
    iron = [
        g
        for g, (e, name) in enumerate(zip(library.element, library.name, strict=True))
        if ELEMENTS[e] == "Fe" and name in ("L23", "M23")
    ]
    group = np.array(iron)
    shapes = np.zeros((group.size, N_GRID), dtype=np.float32)
    _extended(
        np,
        np.random.default_rng(1),
        shapes,
        np.arange(group.size),
        group,
        library.onset_ev[group],
        library.height[group],
        recipe,
        library,
        lambda values, dtype=np.float32: np.asarray(values, dtype=dtype),
    )
    for row, g in zip(shapes, group, strict=True):
        if library.name[g] == "M23":
            assert not row.any()
            continue
        onset = int(library.onset_ev[g])
        assert not row[: onset + 11].any()
        above = np.abs(row[onset + 20 : onset + 200]) / library.height[g]
        assert 0.005 < above.max() < 0.5


def test_published_forward_models_have_none() -> None:
    assert load_recipe("annys2023").extended_fraction == 0.0
    assert load_recipe("default").extended_fraction > 0.0
    spectra = simulate(replace(load_recipe("default"), extended_fraction=1.0), 16, 3)
    assert np.isfinite(np.asarray(spectra.counts)).all()
