"""The forward model of Annys et al. 2023, extended: atomic edges, near-edge structure,
plural scattering, background, detector."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.atom.cross_section import angular_factor
from coreloss.edges import ELEMENTS
from coreloss.simulate.batch import SimulatedBatch
from coreloss.simulate.detectability import N_BINS, signal_to_noise
from coreloss.simulate.detector import Noise, imperfections, sample_channels
from coreloss.simulate.draws import Draws, draw
from coreloss.simulate.library import EdgeLibrary, edge_library, grid_size
from coreloss.simulate.low_loss import GAIN_CHANNELS, convolve, low_loss
from coreloss.simulate.recipe import SimulationRecipe
from coreloss.simulate.shapes import (
    ShapeVariants,
    shallow_parts,
    shape_variants,
    shapes_of_elements,
    shapes_of_groups,
)
from coreloss.simulate.structure import add_near_edge
from coreloss.simulate.subtraction import subtracted_before_edges

__all__ = ["plasmon_tail", "records", "simulate"]

_CHUNK = 256


def simulate(
    recipe: SimulationRecipe, n: int, seed: int, *, xp: Any = None, device: Any = None
) -> SimulatedBatch:
    """Simulate n spectra by atomic edges; see `coreloss.simulate.simulate`."""
    if n < 1:
        raise ValueError(f"asked for {n} spectra; at least one is needed")
    library = edge_library(recipe.edges == "major", recipe.measured_shapes)
    rng = np.random.default_rng(seed)
    return records(recipe, draw(rng, n, recipe, library), rng, xp=xp, device=device)


def records(
    recipe: SimulationRecipe,
    draws: Draws,
    rng: np.random.Generator,
    *,
    library: EdgeLibrary | None = None,
    xp: Any = None,
    device: Any = None,
) -> SimulatedBatch:
    """Records of samples whose parameters have been drawn; see `simulate`.

    ``library`` stands in for the edge shapes that the recipe asks for; it has the same groups.
    """
    namespace = _namespace(xp)
    if library is None:
        library = edge_library(recipe.edges == "major", recipe.measured_shapes)
    variants = shape_variants(rng, recipe, library)
    variants = replace(
        variants,
        table=namespace.asarray(variants.table, device=device),
        shallow=namespace.asarray(variants.shallow, device=device),
    )
    noise = Noise(namespace, int(rng.integers(2**62)), device)
    # Spectra that end early need only the beginning of the grid; so like goes with like.
    order = np.argsort(draws.end_ev, kind="stable")
    chunks = []
    for begin in range(0, order.size, _CHUNK):
        part = draws.take(order[begin : begin + _CHUNK])
        chunks.append(_chunk(namespace, noise, rng, part, recipe, library, variants))
    return replace(_joined(namespace, chunks, order), draws=draws)


def _namespace(xp: Any) -> Any:
    name = "numpy" if xp is None else xp.__name__.split(".")[-1]
    return importlib.import_module(f"array_api_compat.{'torch' if name == 'torch' else 'numpy'}")


def _chunk(
    xp: Any,
    noise: Noise,
    rng: np.random.Generator,
    draws: Draws,
    recipe: SimulationRecipe,
    library: EdgeLibrary,
    variants: ShapeVariants,
) -> SimulatedBatch:
    device = noise.device
    n = draws.end_ev.size
    n_grid = grid_size(float(draws.end_ev.max()))

    def put(values: Any, dtype: Any = np.float32) -> Any:
        return xp.asarray(np.asarray(values, dtype=dtype), device=device)

    rows, slots = np.nonzero(draws.elements >= 0)
    element = draws.elements[rows, slots]
    chemical = draws.chemical_shift_ev[rows, slots]

    # --- edges of each element of each sample: df/dE on 1 eV channels
    variant = variants.of(rng, draws, library)[rows]
    shift = chemical[:, None] + variants.moved[variant]
    if recipe.integer_shifts:
        limit = int(recipe.chemical_shift_ev)
        shift = shift + rng.integers(-limit, limit, size=shift.shape, endpoint=True)
        shapes = shapes_of_groups(xp, variants, variant, element, shift, n_grid, library)
    else:
        shapes = shapes_of_elements(xp, variants, variant, element, chemical, n_grid)
    weight = variants.weight[variant]
    features = add_near_edge(
        xp, rng, shapes, draws, rows, element, shift, weight, recipe, library, put
    )
    energies = np.maximum(np.arange(n_grid, dtype=np.float32), 20.0)[None, :]
    shared = _angular_factor(xp, draws, n_grid, put)
    index = put(rows, np.int64)
    shapes = shapes * shared[index] * put(draws.amounts[rows, slots][:, None])

    summed = xp.zeros((n, n_grid), dtype=xp.float32, device=device)
    for slot in range(recipe.max_elements):
        these = slots == slot
        if these.any():
            summed[put(rows[these], np.int64)] += shapes[put(np.nonzero(these)[0], np.int64)]
    if recipe.unlisted_fraction > 0:
        others, density = _unlisted(rng, draws, recipe, n_grid)
        if others.size:
            at = put(others, np.int64)
            summed[at] += put(density) * shared[at]
    # shells below the edge table: in the record, but no sign of the element
    shallow = shallow_parts(xp, rng, variants, draws, n_grid, put) * shared
    response = low_loss(rng, draws, recipe)
    kernel = put(response)
    scattered = convolve(xp, summed + shallow, kernel)

    # --- background under the reference edge
    reference = draws.reference
    has = reference >= 0
    onset = np.where(has, library.onset_ev[reference], 0.5 * (draws.start_ev + draws.end_ev))
    step = _reference_height(xp, draws, rows, slots, element, weight, library, shared, onset, put)
    log_ratio = put(np.log(np.maximum(energies, 30.0))) - put(np.log(onset)[:, None])
    power = put(draws.exponent[:, None]) + put(draws.curvature[:, None] / np.log(10.0)) * log_ratio
    level = xp.astype(step / put(draws.jump_ratio, np.float64), xp.float32)[:, None]
    background = level * xp.exp(-power * log_ratio)
    if recipe.plasmon_tail_fraction > 0:
        background = background * (1.0 + put(plasmon_tail(rng, draws, recipe, response, n_grid)))
    left = np.where(draws.subtracted, rng.uniform(-1, 1, n) * recipe.subtracted_residual, 1.0)

    # --- channels of the record
    size = np.maximum(
        np.floor((draws.end_ev - draws.start_ev) / draws.dispersion_ev).astype(np.int64), 8
    )
    width = int(size.max())
    start = put(draws.start_ev[:, None], np.float64)
    inside = put(np.arange(width)[None, :] < size[:, None])
    channel = put(draws.dispersion_ev[:, None], np.float64)

    def recorded(spectra: Any) -> Any:
        return sample_channels(xp, spectra, start, channel, width) * inside

    # --- dose
    expected = scattered + background * put(left[:, None])
    peak = xp.max(xp.abs(recorded(expected)), axis=1)
    if recipe.background_amplitude:
        start_level = recorded(background)[:, 0]
        gain = put(draws.amplitude) / start_level
    else:
        gain = put(draws.counts) / xp.where(peak > 0, peak, xp.ones_like(peak))
    gain = gain[:, None]
    full = recorded(scattered + background) * gain
    record = imperfections(xp, noise, rng, full, inside, draws, recipe)
    if draws.subtracted.any():
        # the background was counted, then taken away: its noise stays
        record, first_ev, size, fitted = subtracted_before_edges(
            xp, rng, record, draws, size, onset, recipe
        )
        gone = put(np.where(draws.subtracted & ~fitted, 1.0 - left, 0.0)[:, None])
        record = record - gone * recorded(background) * gain
        draws = replace(draws, start_ev=first_ev)
        start = put(first_ev[:, None], np.float64)
        inside = put(np.arange(width)[None, :] < size[:, None])
    record = record * inside

    # --- truth
    # plural scattering leaves less of a step than the atom has
    seen = convolve(xp, shapes, kernel[put(rows, np.int64)])
    snr_slots = signal_to_noise(
        xp,
        seen,
        rows,
        slots,
        recipe.max_elements,
        scattered + background,
        background,
        start,
        start + channel * put(size[:, None], np.float64),
        gain / put(draws.dispersion_ev[:, None]),
        put(recipe.readout_noise[1] ** 2 / 6.0 / draws.dispersion_ev[:, None]),
        put(recipe.model_error * np.sqrt(np.maximum(N_BINS / size, 1.0))[:, None]),
        device,
    )
    return _labelled(
        xp,
        record,
        snr_slots,
        draws,
        size,
        features,
        rows,
        slots,
        element,
        recipe,
        background + shallow,
        library.height[features["group"]] * weight[features["used"], features["group"]],
        shared,
    )


def _angular_factor(xp: Any, draws: Draws, n_grid: int, put: Any) -> Any:
    """`angular_factor` on the grid, (n, n_grid) [1/eV]: exact at nodes, smooth between."""
    nodes = np.geomspace(20.0, n_grid + 1.0, 40)
    energies = np.maximum(np.arange(n_grid, dtype=float), 20.0)
    # linear interpolation in log energy, not as a matrix product: what that rounds depends on the
    # number of threads, and with it the records
    place = np.interp(np.log(energies), np.log(nodes), np.arange(nodes.size))
    left = np.minimum(place.astype(np.int64), nodes.size - 2)
    at_nodes = angular_factor(
        put(nodes[None, :]),
        put(draws.beam_energy_kev[:, None]),
        put(draws.alpha_mrad[:, None]),
        put(draws.beta_mrad[:, None]),
        xp,
    )
    logs = xp.log(at_nodes)
    low, high = (xp.take(logs, put(left + i, np.int64), axis=1) for i in (0, 1))
    return xp.exp(low + put(place - left) * (high - low))


def plasmon_tail(
    rng: np.random.Generator,
    draws: Draws,
    recipe: SimulationRecipe,
    response: NDArray[np.float32],
    n_grid: int,
) -> NDArray[np.float32]:
    """Plasmons of the second order and above over the power law, (n, n_grid).

    Records that start below some 100 eV have them under their first edges.
    """
    n = draws.start_ev.size
    tail = np.zeros((n, n_grid), dtype=np.float32)
    chosen = (rng.uniform(size=n) < recipe.plasmon_tail_fraction) & (draws.start_ev < 130.0)
    loss = response[:, GAIN_CHANNELS:]
    energy = np.arange(loss.shape[1], dtype=np.float32)
    # to nothing at the end of the low loss that is simulated
    loss = loss * np.cos(0.5 * np.pi * np.clip((energy - 110.0) / 70.0, 0.0, 1.0)) ** 2
    share = np.exp(rng.uniform(np.log(0.05), np.log(3.0), n))[chosen, None]
    first = np.clip(draws.start_ev, 30.0, 140.0).astype(np.int64)[chosen]
    loss = loss[chosen]
    at_start = np.maximum(loss[np.arange(first.size), first], 1e-6)
    # over a power law that falls with energy, as the plasmons do only faster
    fall = (energy[None, :] / first[:, None]) ** draws.exponent[chosen, None]
    width = min(n_grid, loss.shape[1])
    tail[chosen, :width] = (share * (loss / at_start[:, None] * fall))[:, :width]
    return tail


def _unlisted(
    rng: np.random.Generator, draws: Draws, recipe: SimulationRecipe, n_grid: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Records (m,) with an edge of no listed element, saw-tooth or hump, and its df/dE (m, n_grid).

    They are a few of all; the others' random numbers are drawn and left unused.
    """
    n = draws.start_ev.size
    energy = np.arange(n_grid, dtype=np.float32)[None, :]
    onset = rng.uniform(draws.start_ev + 10.0, draws.end_ev - 10.0)[:, None]
    rise = rng.uniform(1.0, 60.0, n)[:, None]
    decay = rng.uniform(2.0, 4.0, n)[:, None]
    chosen = np.nonzero(rng.uniform(size=n) < recipe.unlisted_fraction)[0]
    size = 10.0 ** rng.uniform(-4.0, -2.0, n)[:, None]
    size, onset, rise, decay = (values[chosen] for values in (size, onset, rise, decay))
    excess = np.maximum(energy - onset, 0.0)
    shape = size * (1.0 - np.exp(-excess / rise)) * (onset / np.maximum(energy, 1.0)) ** decay
    return chosen, shape.astype(np.float32)


def _reference_height(
    xp: Any,
    draws: Draws,
    rows: NDArray[np.int64],
    slots: NDArray[np.int64],
    element: NDArray[np.int64],
    weight: NDArray[np.float64],
    library: EdgeLibrary,
    shared: Any,
    onset: NDArray[np.float64],
    put: Any,
) -> Any:
    """Height of the reference edge of each spectrum before fine structure, in spectrum units.

    (n,) float64, where ``shared`` is: nothing waits for the device.

    Spectra without an edge in range get the height of a typical one.
    """
    n = draws.start_ev.size
    height = np.full(n, 1e-3)
    reference = draws.reference
    owner = library.element[reference[rows]]
    mine = (reference[rows] >= 0) & (owner == element)
    amount = draws.amounts[rows[mine], slots[mine]]
    group = reference[rows[mine]]
    height[rows[mine]] = library.height[group] * weight[mine, group] * amount
    channel = np.clip(np.rint(onset).astype(np.int64), 0, shared.shape[1] - 1)[:, None]
    factor = xp.take_along_axis(shared, put(channel, np.int64), axis=1)[:, 0]
    return put(height, np.float64) * xp.astype(factor, xp.float64)


def _numpy(values: Any) -> NDArray[Any]:
    """An array of any namespace and device in NumPy, in one transfer."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)


def _labelled(
    xp: Any,
    record: Any,
    snr_slots: Any,
    draws: Draws,
    size: NDArray[np.int64],
    features: dict[str, NDArray[Any]],
    rows: NDArray[np.int64],
    slots: NDArray[np.int64],
    element: NDArray[np.int64],
    recipe: SimulationRecipe,
    background: Any,
    height: NDArray[np.float64],
    shared: Any,
) -> SimulatedBatch:
    """The batch with its truth; ``height`` [1/eV] is that of each edge of ``features``."""
    n = size.size
    count = len(ELEMENTS)
    start = draws.start_ev
    end = start + size * draws.dispersion_ev
    spectrum, group, used = features["spectrum"], features["group"], features["used"]
    onset = features["onset"]
    margin = np.maximum(2.0 * draws.dispersion_ev[spectrum], 3.0)
    visible = (onset > start[spectrum] + margin) & (onset < end[spectrum] - margin)
    spectrum, group, used, onset, height = (
        a[visible] for a in (spectrum, group, used, onset, height)
    )

    in_range = np.zeros((n, count), dtype=bool)
    in_range[spectrum, element[used]] = True
    snr = np.zeros((n, count), dtype=np.float32)
    snr[rows, element] = _numpy(snr_slots)[rows, slots]
    # an edge that begins where the record does is neither clearly there nor clearly absent
    begun = np.zeros((n, count), dtype=bool)
    ahead = start[features["spectrum"]] - features["onset"]
    at_start = (ahead < 15.0) & (ahead > -margin)
    begun[features["spectrum"][at_start], element[features["used"][at_start]]] = True
    begun &= ~in_range
    below = np.float32(0.999 * recipe.snr_present)
    snr = np.where(begun, np.minimum(snr, below), np.where(in_range, snr, np.float32(0.0)))
    present = in_range.copy()
    if recipe.labels == "detectable":
        present &= snr >= recipe.snr_present
    else:
        snr[begun] = 0.0

    def at(array: Any, row: NDArray[np.int64], channel: NDArray[np.int64]) -> Any:
        width = array.shape[1]
        index = xp.asarray(row * width + np.clip(channel, 0, width - 1), device=array.device)
        return xp.take(xp.reshape(array, (-1,)), index, axis=0)

    channel = np.rint(onset).astype(np.int64)
    # as the recipe's jump ratio is enforced: see `_reference_height`
    pair = xp.stack([at(shared, spectrum, channel), at(background, spectrum, channel)])
    factor, below = _numpy(pair).astype(float)
    step = height * draws.amounts[rows[used], slots[used]] * factor
    below = np.maximum(below, 1e-30)
    return SimulatedBatch(
        counts=record,
        offset=(start + 0.5 * draws.dispersion_ev - draws.shift_ev) / draws.stretch,
        dispersion=draws.dispersion_ev / draws.stretch,
        size=size,
        present=present,
        in_range=in_range,
        snr=snr,
        edges={
            "spectrum": spectrum,
            "element": element[used],
            "group": group,
            "onset_ev": (onset - draws.shift_ev[spectrum]) / draws.stretch[spectrum],
            "jump_ratio": step / below,
        },
        draws=draws,
    )


def _joined(xp: Any, chunks: list[SimulatedBatch], order: NDArray[np.int64]) -> SimulatedBatch:
    """Chunks in one, back in the order in which the spectra were drawn."""
    n = order.size
    width = max(chunk.counts.shape[1] for chunk in chunks)
    device = chunks[0].counts.device
    counts = xp.zeros((n, width), dtype=xp.float32, device=device)
    begin, spectra = 0, []
    for chunk in chunks:
        rows = order[begin : begin + chunk.size.size]
        counts[xp.asarray(rows, device=device), : chunk.counts.shape[1]] = chunk.counts
        spectra.append(rows[chunk.edges["spectrum"]])
        begin += rows.size
    back = np.argsort(order, kind="stable")

    def rejoined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(chunk, name) for chunk in chunks])[back]

    edges = {key: np.concatenate([c.edges[key] for c in chunks]) for key in chunks[0].edges}
    edges["spectrum"] = np.concatenate(spectra)
    return SimulatedBatch(
        counts=counts,
        offset=rejoined("offset"),
        dispersion=rejoined("dispersion"),
        size=rejoined("size"),
        present=rejoined("present"),
        in_range=rejoined("in_range"),
        snr=rejoined("snr"),
        edges=edges,
        draws=chunks[0].draws,
    )
