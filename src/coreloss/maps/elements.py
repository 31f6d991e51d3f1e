"""Element maps: which elements are where in a spectrum image."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis, Spectra, filled, total_of
from coreloss.identification import Identification, ModelBundle, identify_spectra, load_model
from coreloss.identification.predict import DEFAULT_AXIS_MODE, probabilities
from coreloss.identification.result import covers, covers_any, gaps_of, unrecorded_said
from coreloss.maps.blocks import Store, run_blocks
from coreloss.maps.channels import settled_channels, without_cosmic_rays
from coreloss.maps.coherence import morans_z
from coreloss.maps.lowloss import LowLoss, aligned_by_zero_loss, axis_drift, lined_up, opened
from coreloss.maps.mixtures import is_mixture
from coreloss.maps.neighbours import beside, unshared_step
from coreloss.maps.pixels import (
    DEAD,
    SATURATED,
    USABLE,
    Clusters,
    Denoiser,
    Saturation,
    states,
    unrecorded,
    usable_sample,
)
from coreloss.maps.settled import settled_axis
from coreloss.maps.source import Block, NavigationAxis, SpectrumImage, open_image
from coreloss.maps.support import Proof
from coreloss.maps.wording import counted, listed, of_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ElementMaps", "element_maps"]

# an element nearly everywhere has no pattern to test
_EVERYWHERE = 0.9
_COHERENT_Z = 4.0
_LEAST_PIXELS = 3
_LEAST_CLUSTER = 4
# how much the printed table says: where an element was found, and of what was dropped
_MOST_PLACES, _MOST_DROPPED, _MOST_SYMBOLS = 3, 6, 12


@dataclass(frozen=True)
class ElementMaps:
    """Element maps of a line scan, spectrum image or stack.

    Attributes
    ----------
    elements : tuple of str
        Kept, most widespread first.
    probabilities : ndarray, (*shape, n_elements) float32
        Calibrated probability in each pixel, NaN where a spectrum could not be judged.
    threshold : float
    candidates : list of dict
        Every element found anywhere: ``symbol``, ``fraction`` of spectra, ``coherence`` (z of
        Moran's I), ``found_in`` ('pixels', 'sum', 'cluster 2'), ``likelihood_ratio`` (the
        largest in a sum), ``kept`` and the ``reason`` if not.
    total : Identification
        Of the summed spectrum.
    clusters : list of Identification
    labels : ndarray, shape, int16
        The cluster of each pixel; -1 for unusable ones.
    state : ndarray, shape, uint8
        0 usable, 1 without counts, 2 saturated.
    axes : tuple of NavigationAxis
    axis : EnergyAxis
        Of all pixels, or of those that have not drifted.
    metadata, notes, survey
        As of the file.
    """

    elements: tuple[str, ...]
    probabilities: NDArray[np.float32] = field(repr=False)
    threshold: float
    candidates: list[dict[str, Any]] = field(repr=False)
    total: Identification = field(repr=False)
    clusters: list[Identification] = field(repr=False)
    labels: NDArray[np.int16] = field(repr=False)
    state: NDArray[np.uint8] = field(repr=False)
    axes: tuple[NavigationAxis, ...]
    axis: EnergyAxis
    metadata: dict[str, Any] = field(repr=False, default_factory=dict)
    notes: tuple[str, ...] = ()
    survey: NDArray[np.floating] | None = field(repr=False, default=None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each navigation axis."""
        return self.state.shape

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether each element is found in each pixel, (*shape, n_elements)."""
        return np.nan_to_num(self.probabilities) >= self.threshold

    def map(self, symbol: str) -> NDArray[np.float32]:
        """The probability map of one element, shape."""
        if symbol not in self.elements:
            raise ValueError(
                f"no map of {symbol!r}; there are maps of {', '.join(self.elements) or 'nothing'}"
            )
        return self.probabilities[..., self.elements.index(symbol)]

    def rows(self) -> list[dict[str, Any]]:
        """The table's rows."""
        return self.candidates

    def table(self) -> str:
        """The elements, where and how they were found, one a line."""
        lines = [f"  {'':<3} {'pixels':>8}  {'coherence':>9}  {'LR':>7}  found in"]
        dropped_rows = [row for row in self.candidates if not row["kept"]]
        unsaid = dropped_rows[_MOST_DROPPED:]
        for row in self.candidates[: len(self.candidates) - len(unsaid)]:
            z = "" if not np.isfinite(row["coherence"]) else f"{round(row['coherence'])}"
            dropped = "" if row["kept"] else "   dropped: " + row["reason"]
            lines.append(
                f"  {row['symbol']:<3} {100 * row['fraction']:7.1f}%  {z:>9}  "
                f"{row['likelihood_ratio']:7.3g}  "
                f"{listed(row['found_in'], _MOST_PLACES, 'cluster', 'clusters')}{dropped}"
            )
        if unsaid:
            symbols = listed([row["symbol"] for row in unsaid], _MOST_SYMBOLS)
            share = 100.0 * max(row["fraction"] for row in unsaid)
            lines.append(f"  dropped too, each of at most {share:.1f}% of the pixels: {symbols}")
        if not self.candidates:
            lines = ["  no element found"]
        return "\n".join(lines)

    def csv(self) -> str:
        """The table as CSV."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            "element fraction_of_spectra mean_probability coherence_z likelihood_ratio found_in "
            "kept reason edges".split()
        )
        for row in self.candidates:
            own = edges_of(row["symbol"])
            edges = [e.label for e in own if covers(self.axis, e, self.total.gaps)]
            writer.writerow(
                [
                    row["symbol"],
                    f"{row['fraction']:.5f}",
                    f"{row['mean_probability']:.4f}",
                    f"{row['coherence']:.2f}",
                    f"{row['likelihood_ratio']:.1f}",
                    "; ".join(row["found_in"]),
                    int(row["kept"]),
                    row["reason"],
                    "; ".join(edges),
                ]
            )
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """Everything but the maps, for JSON."""
        return {
            "elements": list(self.elements),
            "candidates": [
                {
                    k: (None if isinstance(v, float) and not np.isfinite(v) else v)
                    for k, v in r.items()
                }
                for r in self.candidates
            ],
            "threshold": self.threshold,
            "model": self.total.model,
            "shape": list(self.shape),
            "usable_spectra": int((self.state == USABLE).sum()),
            "range_ev": [round(self.axis.start, 2), round(self.axis.end, 2)],
            "notes": list(self.notes),
        }

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """The maps side by side; see `coreloss.maps.figures.element_maps_figure`."""
        from coreloss.maps.figures import element_maps_figure

        return element_maps_figure(self, path)

    def save(
        self, folder: str | os.PathLike[str], *, force: bool = False, kind: str = "hspy"
    ) -> Path:
        """Write maps, figure and table into a folder; see `coreloss.maps.output.save_maps`."""
        from coreloss.maps.output import save_maps

        return save_maps(self, folder, force=force, kind=kind)


@dataclass(frozen=True)
class _Identify:
    """What is done with each block."""

    bundle: ModelBundle
    axis: EnergyAxis
    judged: tuple[int, ...]
    limit: float
    saturation: Saturation
    denoiser: Denoiser | None
    clusters: Clusters
    threads: int
    blank: NDArray[np.bool_]
    typical: NDArray[np.float64]
    spared: NDArray[np.bool_]
    drift: LowLoss | None = None

    def __call__(self, counts: NDArray[np.floating], block: Block) -> dict[str, NDArray[Any]]:
        if self.blank.any():
            counts = np.where(self.blank, np.nan, counts)
        state = states(counts, self.saturation)
        counts, struck = without_cosmic_rays(counts, self.axis, self.spared)
        good = np.flatnonzero(state == USABLE)
        chance = np.full((counts.shape[0], len(self.bundle.elements)), np.nan, dtype=np.float16)
        labels = np.full(counts.shape[0], -1, dtype=np.int16)
        sums = np.zeros((self.clusters.centres.shape[0], self.axis.size))
        beside_found = np.zeros((len(self.judged), self.axis.size), dtype=np.float32)
        if good.size:
            spectra = counts[good]
            drift = None if self.drift is None else self.drift.drift_of_block(block)[good]
            whole = np.nan_to_num(filled(spectra, self.typical))
            labels[good] = self.clusters.labels(whole)
            recorded = spectra
            if self.denoiser is not None:
                spectra = np.where(np.isfinite(spectra), self.denoiser.applied(whole), np.nan)
            found = probabilities(
                spectra, self.axis, self.bundle, drift_ev=drift, threads=self.threads
            )
            if drift is not None:
                together = lined_up(recorded, self.axis, drift)
                whole = np.nan_to_num(filled(together, self.typical))
            members = labels[good] == np.arange(sums.shape[0])[:, None]
            sums = members.astype(whole.dtype) @ whole
            part = np.zeros(found.shape, dtype=np.float16)
            part[:, list(self.judged)] = found[:, list(self.judged)]
            chance[good] = part
            present = np.zeros((len(self.judged), counts.shape[0]), dtype=bool)
            present[:, good] = self.limit <= part[:, list(self.judged)].T
            step = unshared_step(counts, block.shape, state == USABLE)
            near = beside(present.reshape(-1, *block.shape), step).reshape(present.shape)
            # squared, so that what lies within a phase outweighs what lies along it
            weight = near[:, good].astype(whole.dtype) ** 2
            beside_found = (weight @ whole).astype(np.float32)
        return {
            "probability": chance,
            "label": labels,
            "state": state,
            "_sums": sums.astype(float),
            "_struck": np.array([struck]),
            "_beside": beside_found,
        }


def element_maps(
    source: str | os.PathLike[str] | Spectra | SpectrumImage,
    *,
    signal: str | int | None = None,
    model: str | os.PathLike[str] | ModelBundle | None = None,
    threshold: float | None = None,
    least_fraction: float = 0.01,
    bin: int = 1,
    components: int = 0,
    clusters: int = 8,
    low_loss: str | os.PathLike[str] | Spectra | SpectrumImage | Literal[False] | None = None,
    axis_mode: str | float = DEFAULT_AXIS_MODE,
    threads: int = 0,
    scheduler: str | None = None,
    work_folder: str | os.PathLike[str] | None = None,
) -> ElementMaps:
    """Map the elements of a line scan, spectrum image or stack.

    Every spectrum is identified by itself; so are the sum of all and the sums of clusters of
    like spectra, in which a phase of few pixels or a low dose still shows. An element is kept if
    the sum or a cluster bears it out (`coreloss.maps.support`), or if it is in at least
    ``least_fraction`` of the spectra, there either nearly everywhere or in pixels that lie
    together (`coreloss.maps.coherence`), and the sum of the spectra beside those bears it out
    (`coreloss.maps.neighbours`).

    Parameters
    ----------
    source : path, Spectra or SpectrumImage
        Large files are read a block at a time.
    signal : str or int, optional
        Which data set of a file; see `coreloss.io.load`.
    model, threshold, threads, axis_mode
        As of `coreloss.identify`; the axis is judged on the mean spectrum, with 'auto' after the
        zero-loss peak of the low loss was put at 0.
    least_fraction : float
        Share of the spectra in which an element must be found.
    bin : int
        Sum ``bin`` × ``bin`` pixels first, of a stack in every frame; ``bin`` of a line scan.
    components : int
        Rebuild spectra from so many principal components first; 0 leaves them alone.
    clusters : int
        Groups whose sums are identified as well; 0 for none. Needs SciPy.
    low_loss : path, Spectra, SpectrumImage or False, optional
        One spectrum, or one for each pixel, recorded in the same sweep; that of the same file
        without it, none for False. Its zero-loss peak tells how the axis is off, and how it
        drifts from pixel to pixel: every spectrum is then identified on its own axis, and sums
        are of spectra put over by whole channels. Counts are not interpolated.
    scheduler : str, optional
        Address of a dask.distributed scheduler to work on.
    work_folder : path, optional
        Keeps unfinished results; a run that was stopped goes on from there.

    Returns
    -------
    ElementMaps

    Raises
    ------
    ReadError, ValueError
        One sentence for data that cannot be mapped, or a low loss given that does not fit them.
    """
    image = open_image(source, signal=signal)
    if image.number == 1:
        raise ValueError(
            f"{image.name}: holds a single spectrum, of which no map can be made; "
            "use 'coreloss identify' or 'coreloss quantify'"
        )
    if not 0.0 <= least_fraction <= 1.0:
        raise ValueError(f"least fraction is {least_fraction}; it must lie between 0 and 1")
    if components < 0 or clusters < 0:
        raise ValueError(f"{components} components, {clusters} clusters: neither can be negative")
    image = image.binned(bin)
    if low_loss is not None and low_loss is not False:
        low_loss = opened(low_loss)
    bundle = load_model(model)
    limit = bundle.threshold if threshold is None else float(threshold)
    if not 0.0 < limit < 1.0:
        raise ValueError(f"threshold is {limit}; it must lie between 0 and 1")
    sample, saturation = usable_sample(image)
    blank = unrecorded(sample)
    sample = np.where(blank, np.nan, sample)
    sample, spared = settled_channels(sample, image.axis)
    aligned: list[str] = []
    dispersion = image.axis.dispersion
    if axis_mode == "auto":
        image, aligned = aligned_by_zero_loss(image, low_loss)
    image, said, _ = settled_axis(image, sample, axis_mode, bundle, threads)
    drift, followed = axis_drift(
        image, low_loss, bin=bin, stretch=image.axis.dispersion / dispersion
    )
    missing = ~np.isfinite(sample).any(axis=0)
    gaps = gaps_of(~missing, image.axis)
    judged = tuple(
        i for i, s in enumerate(bundle.elements) if covers_any(edges_of(s), image.axis, gaps)
    )
    # a record that cannot be judged at all says so before anything is written
    probabilities(sample[:1], image.axis, bundle, threads=threads)
    notes = [*image.notes, *image.dropped, *aligned, *said, *followed, *map(unrecorded_said, gaps)]
    if clusters > 1 and importlib.util.find_spec("scipy") is None:
        notes.append("spectra were not clustered, as SciPy is not installed")
        clusters = 1
    whole = filled(sample)
    groups = Clusters.of(whole, max(clusters, 1))
    denoiser = Denoiser.of(whole, components) if components else None
    blocks = image.blocks()
    key = {
        "file": _stamp(image, work_folder is not None),
        "model": [bundle.name, bundle.version, str(bundle.path)],
        "bin": bin,
        "components": components,
        "clusters": clusters,
        "threshold": limit,
        "axis": [image.axis.offset, image.axis.dispersion, image.axis.size],
        "drift": None if drift is None else [drift.drift_origin_ev, drift.mean.tolist()],
    }
    store = Store(
        Path(work_folder) if work_folder is not None else None, key, image.shape, len(blocks)
    )
    work = _Identify(
        bundle, image.axis, judged, limit, saturation, denoiser, groups, threads, blank,
        total_of(whole)[None] / whole.shape[0], spared, drift,
    )  # fmt: skip
    run_blocks(work, image, store, blocks, scheduler=scheduler, label="identifying")
    return _assembled(image, bundle, limit, least_fraction, store, judged, missing, notes, threads)


def _stamp(image: SpectrumImage, kept: bool) -> list[Any]:
    """What tells a file from another, and data in memory where their results are ``kept``."""
    if not image.path:
        if not kept:
            return ["memory"]
        digest = hashlib.sha256()
        for block in image.blocks():
            digest.update(np.ascontiguousarray(image.read(block)))
        return ["memory", digest.hexdigest()]
    told = Path(image.path).stat()
    return [image.path, told.st_size, told.st_mtime, str(image.signal)]


def _assembled(
    image: SpectrumImage,
    bundle: ModelBundle,
    limit: float,
    least_fraction: float,
    store: Store,
    judged: tuple[int, ...],
    missing: NDArray[np.bool_],
    notes: list[str],
    threads: int,
) -> ElementMaps:
    def identified(counts: NDArray[np.float64]) -> Proof:
        spectra = Spectra(np.where(missing, np.nan, counts), image.axis)
        return Proof.of(
            identify_spectra(
                spectra, model=bundle, threshold=limit, threads=threads, evidence=True
            )[0]
        )

    state, labels = np.array(store.get("state")), np.array(store.get("label"))
    usable = state == USABLE
    for kind, what in (
        (DEAD, ("holds no counts and was", "hold no counts and were")),
        (SATURATED, ("is saturated and was", "are saturated and were")),
    ):
        number = int((state == kind).sum())
        if number:
            notes.append(f"{of_all(number, state.size, *what)} left out")
    struck = int(np.asarray(store.get("_struck")).sum())
    if struck:
        notes.append(
            f"cosmic rays: single channels bridged in {struck:,} of {state.size:,} spectra"
        )
    sums = np.asarray(store.get("_sums")).sum(axis=0)
    size = np.bincount(labels[usable], minlength=sums.shape[0])
    total = identified(sums.sum(axis=0))
    groups = [
        (number, identified(row))
        for number, row in enumerate(sums)
        if len(sums) > 1 and size[number] >= _LEAST_CLUSTER
    ]
    beside_found = store.get("_beside")
    rows: list[dict[str, Any]] = []
    for place, column in enumerate(judged):
        symbol = bundle.elements[column]
        values = store.column("probability", column)
        found = values[usable] >= limit
        said = [("sum", total.support(symbol))]
        said += [
            (
                f"cluster {number + 1} ({counted(int(size[number]), 'spectrum', 'spectra')})",
                proof.support(symbol),
            )
            for number, proof in groups
        ]
        mixed = {
            name
            for (name, support), (_, proof) in zip(said[1:], groups, strict=True)
            if support.found and is_mixture(symbol, proof, [p for _, p in groups if p is not proof])
        }
        places = [name for name, proof in said if proof.found and name not in mixed]
        fraction = float(found.mean())
        seen = [name for name, proof in said if proof.network >= limit]
        if not (seen or found.any()):
            continue
        presence = np.where(usable, values >= limit, np.nan)
        z = morans_z(presence)
        enough = fraction >= least_fraction and found.sum() >= min(_LEAST_PIXELS, usable.sum())
        together = fraction >= _EVERYWHERE or (np.isfinite(z) and z >= _COHERENT_Z)
        reason, few = "", counted(int(found.sum()), "spectrum", "spectra")
        if not places:
            if enough and together:
                # where no pixel has a neighbour the whole is all there is to ask
                about = np.asarray(beside_found[:, place], dtype=float).sum(axis=0)
                near = identified(about) if about.any() else total
                said.append(("pixels", near.support(symbol)))
                if not said[-1][1].found:
                    reason = said[-1][1].reason("the sum of the spectra beside its own")
                elif is_mixture(symbol, near, [proof for _, proof in groups]):
                    reason = (
                        "mixtures of spectra without it explain the sum of those beside its own"
                    )
            elif mixed:
                those = listed(
                    [name for name, _ in said if name in mixed], 2, "cluster", "clusters"
                )
                reason = f"mixtures of spectra without it explain {those}"
            elif seen:
                name, proof = max(said, key=lambda item: item[1].network)
                reason = proof.reason(f"the {name}" if name == "sum" else name)
            else:
                reason = (
                    "scattered"
                    if enough
                    else f"{few} {'is' if found.sum() == 1 else 'are'} too few"
                )
        if enough and together and not reason:
            places.insert(0, "pixels")
        if not places:
            places = [counted(int(found.sum()), "pixel", "pixels"), *seen]
        rows.append(
            {
                "symbol": symbol,
                "fraction": fraction,
                "mean_probability": float(values[usable].mean()),
                "coherence": z,
                "likelihood_ratio": max(proof.likelihood_ratio for _, proof in said),
                "found_in": places,
                "kept": not reason,
                "reason": reason,
                "column": column,
            }
        )
    rows.sort(key=lambda r: (not r["kept"], -r["fraction"], r["symbol"]))
    kept = [row for row in rows if row["kept"]]
    columns = [row.pop("column") for row in rows][: len(kept)]
    maps = (
        np.stack([store.column("probability", c) for c in columns], axis=-1)
        if columns
        else np.zeros((*state.shape, 0), dtype=np.float32)
    )
    return ElementMaps(
        tuple(row["symbol"] for row in kept),
        maps,
        limit,
        rows,
        total.result,
        [proof.result for _, proof in groups],
        labels,
        state,
        image.axes,
        image.axis,
        image.metadata,
        tuple(notes),
        image.survey,
    )
