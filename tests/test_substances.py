"""Near-edge structure of substances in the simulator, and edges with two steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from coreloss.simulate import SimulatedBatch, load_recipe, simulate_sample
from coreloss.simulate.gaussian.shapes import shipped_shapes
from coreloss.simulate.library import edge_library
from coreloss.simulate.shapes import shape_variants
from coreloss.simulate.substances import BEFORE_EV, LENGTH_EV, substances


def iron(fraction: float, seed: int = 3) -> SimulatedBatch:
    """Fe L2,3 alone, all but no background, a sharp zero loss and no scattering."""
    recipe = replace(
        load_recipe("default"), substance_fraction=fraction, zero_loss_fwhm_ev=(0.3, 0.3),
        tail_hwhm_ev=(0.01, 0.01), instrumental_shift_ev=0.0, wide_shift_fraction=0.0,
        stretch_fraction=0.0, edge_shift_ev=0.0, shape_spread=0.0, subshell_spread=0.0,
        fine_structure_median=1e-9, gain_noise=(0.0, 0.0), gain_step_fraction=0.0,
        spike_fraction=0.0, shading_fraction=0.0, baseline_fraction=0.0, offset_fraction=0.0,
        subtracted_fraction=0.0, smoothed_fraction=0.0, unlisted_fraction=0.0,
    )  # fmt: skip
    return simulate_sample(
        {"Fe": 1.0}, start_ev=650.5, end_ev=1000.5, counts=1e10, jump_ratio=1e6, thickness=1e-6,
        n=64, seed=seed, recipe=recipe,
    )  # fmt: skip


def test_edges_are_those_of_the_library_near_the_onset_and_the_atom_s_beyond() -> None:
    known, atom = iron(1.0), iron(0.0)
    energies = known.offset[0] + np.arange(known.size[0])
    near, far = (energies > 700) & (energies < 760), energies > 830
    shapes = np.array(
        [s.intensity(energies) for s in shipped_shapes() if s.element == "Fe"]
    )[:, near]  # fmt: skip
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
    best = []
    for row in np.asarray(known.counts):
        part = row[near] / np.linalg.norm(row[near])
        best.append((shapes @ part).max())
    assert np.median(best) > 0.98
    assert len(np.unique(np.round(best, 6))) > 5  # many substances, not one
    # scaled to one another beyond, the records agree there with the atom's
    beyond = [np.asarray(b.counts)[:, far].mean(axis=0) for b in (known, atom)]
    ratio = beyond[0] / beyond[1]
    np.testing.assert_allclose(ratio / ratio.mean(), 1.0, atol=0.02)


def test_substances_join_the_atom_where_they_end() -> None:
    library, known = edge_library(), substances(False, True)
    groups = np.nonzero(known.last > known.first)[0]
    assert len(groups) == 20
    for group in groups:
        rows = slice(known.first[group], known.last[group])
        begin = int(library.onset_ev[group]) - BEFORE_EV
        atom = library.shape[group][begin : begin + LENGTH_EV]
        whole = atom - known.atom[rows][:, : atom.size] + known.known[rows][:, : atom.size]
        assert whole.min() > -1e-6 * atom.max()
        np.testing.assert_allclose(whole[:, 110:], atom[110:][None, :].repeat(len(whole), 0))
        # no kink: within the last 30 eV a substance is nowhere far from its atom
        ratio = whole[:, 75:110] / atom[75:110]
        assert ratio.max() < 1.6
        assert ratio.min() > 0.6


def test_each_step_of_a_stretched_pair_keeps_its_place() -> None:
    library = edge_library()
    recipe = replace(load_recipe("default"), edge_shift_ev=0.0, delayed_spread=0.3)
    variants = shape_variants(np.random.default_rng(5), recipe, library)
    group = library.labels.index("Au M45")
    pad = (variants.table.shape[2] - library.shape.shape[1]) // 2
    curves = np.asarray(variants.table)[:, library.element[group], pad:]
    first, second = int(library.onset_ev[group]), int(library.second_ev[group])
    # share of the height at 40 eV above M5: delayed more or less
    rise = curves[:, first + 40] - curves[:, first - 2]
    top = curves[:, first : first + 300].max(axis=1) - curves[:, first - 2]
    assert np.ptp(rise / top) > 0.2
    # M4 begins where the table has it: the second difference is largest there
    for curve in curves:
        bend = np.diff(curve[second - 15 : second + 25], n=2)
        assert abs(int(np.argmax(bend)) + 1 - 15) <= 6
