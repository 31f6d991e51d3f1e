"""Data sets on disk, with the structure of the one of Annys et al. 2023 (Zenodo 8004912).

One HDF5 file for each element and split, ``trainingset/TRAIN_O.hdf5`` and so on, with
``spectra``, ``labels_identification`` and ``labels_quantification``, and beside these what
the published files leave out. A file is made whole in memory, by any process on any
machine, and put in place by renaming, so a kill at any moment loses the files in the making
and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss import __version__
from coreloss.edges import ELEMENTS
from coreloss.grid import ANNYS_GRID, over_maximum, rebin
from coreloss.simulate.batch import SimulatedBatch
from coreloss.simulate.draws import Draws, draw
from coreloss.simulate.gaussian.recipe import GaussianRecipe
from coreloss.simulate.gos import records
from coreloss.simulate.library import EdgeLibrary, edge_library
from coreloss.simulate.recipe import SimulationRecipe, from_table, load_recipe
from coreloss.whole import whole

__all__ = [
    "PUBLISHED_ELEMENTS",
    "SPLITS",
    "DatasetPlan",
    "draw_element",
    "load_dataset_plan",
    "make_file",
    "write_dataset",
]

#: Columns of the published labels: Be … Bi.
PUBLISHED_ELEMENTS = tuple(s for s in ELEMENTS if s not in ("Li", "Th", "U"))

#: Split: folder and beginning of the file names.
SPLITS = {
    "training": ("trainingset", "TRAIN"),
    "validation": ("validationset", "VALIDATION"),
    "test": ("testset", "TEST"),
    "single": ("single_element_spectra", "CONFMAT"),
}

#: spectra of each of 20 elements: 200,000 for training and 50,000 for validation, as in
#: Kong et al. 2022
GAUSSIAN_PLAN = {"training": 10_000, "validation": 2_500, "test": 0, "single": 0}

_MANIFEST = "manifest.json"
_ROUND = 16_384  # samples drawn at a time, of which one in 83 has the element asked for
_BLOCK = 1024  # spectra simulated at a time
_CHUNK_ROWS = 16  # of the HDF5 data sets; training reads as many at a time


@dataclass(frozen=True)
class DatasetPlan:
    """The table ``[dataset]``: how many spectra of each element, and which elements."""

    training: int = 7000
    validation: int = 600
    test: int = 1500
    #: spectra of samples of this element alone, for the confusion matrix
    single: int = 100
    #: columns of the labels and elements that get files; others do not occur in the samples.
    #: Empty for the 80 of the published data set.
    elements: tuple[str, ...] = ()
    seed: int = 1

    def __post_init__(self) -> None:
        for split in SPLITS:
            if getattr(self, split) < 0:
                raise ValueError(f"{split} is {getattr(self, split)}; it cannot be negative")
        unknown = [s for s in self.elements if s not in ELEMENTS]
        if unknown or len(set(self.elements)) != len(self.elements):
            raise ValueError(f"elements are {self.elements}; give symbols, each once")

    @property
    def symbols(self) -> tuple[str, ...]:
        """The elements, in the order of the labels' columns."""
        return self.elements or PUBLISHED_ELEMENTS

    def jobs(self) -> list[tuple[str, str]]:
        """(split, element) of every file."""
        return [(split, s) for split in SPLITS for s in self.symbols if getattr(self, split)]


def load_dataset_plan(
    recipe: str | Path,
) -> tuple[SimulationRecipe | GaussianRecipe, DatasetPlan]:
    """Forward model and plan of a recipe: a shipped one's name, or a TOML file.

    The file's table ``[dataset]`` may change the plan. Raises ValueError or
    FileNotFoundError with what is wrong.
    """
    simulation = load_recipe(recipe)
    path = Path(recipe)
    table: dict[str, Any] = {}
    if path.suffix == ".toml":
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("dataset", {})
    try:
        plan = from_table(DatasetPlan, table, source=str(recipe), what="data set parameter")
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(f"{recipe}: ") else f"{recipe}: {text}") from None
    if isinstance(simulation, GaussianRecipe):
        plan = replace(
            plan,
            elements=plan.elements or simulation.elements,
            **{k: v for k, v in GAUSSIAN_PLAN.items() if k not in table},
        )
    return simulation, plan


def make_file(
    recipe: SimulationRecipe | GaussianRecipe, plan: DatasetPlan, split: str, symbol: str
) -> bytes:
    """One HDF5 file of a data set; the same arguments give the same spectra anywhere.

    Those of a GaussianRecipe are described in `coreloss.simulate.gaussian.dataset`.

    Besides the published data sets (spectra over their maximum on 0 … 3071 eV, zero outside
    the record; labels; atomic fractions of the labelled elements) it holds ``energies``
    (3072,) [eV], ``snr`` (n, n_elements), ``maximum`` (n,) [electrons], which times
    ``spectra`` gives counts, ``parameters`` (n,), every number drawn for a spectrum, and
    ``edges``, every shell group in a record with its onset on the record's axis.
    """
    import h5py

    n = getattr(plan, split)
    seed = (plan.seed, list(SPLITS).index(split), ELEMENTS.index(symbol))
    if isinstance(recipe, GaussianRecipe):
        from coreloss.simulate.gaussian.dataset import gaussian_file

        if split == "single":
            recipe = replace(recipe, edge_counts=(1.0,), empty_fraction=0.0)
        return gaussian_file(recipe, n, symbol, seed, _append)
    rng = np.random.default_rng(seed)
    columns = np.array([ELEMENTS.index(s) for s in plan.symbols])
    recipe, drawn = draw_element(
        rng, n, recipe, symbol, allowed=plan.symbols, single=split == "single"
    )
    library = edge_library(recipe.edges == "major", recipe.measured_shapes)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["elements"] = list(plan.symbols)
        file.attrs["element"] = symbol
        file.attrs["recipe"] = json.dumps(recipe.to_dict())
        file["energies"] = ANNYS_GRID.energies.astype(np.float32)
        edges = []
        for begin in range(0, n, _BLOCK):
            part = drawn.take(np.arange(begin, min(begin + _BLOCK, n)))
            batch = records(recipe, part, rng)
            for name, values in _columns(batch, part, columns).items():
                _append(file, name, values)
            edges.append(_edges(batch, library, begin))
        file.create_dataset("edges", data=np.concatenate(edges), compression="gzip")
    return buffer.getvalue()


def draw_element(
    rng: np.random.Generator,
    n: int,
    recipe: SimulationRecipe,
    symbol: str,
    *,
    allowed: tuple[str, ...] = ELEMENTS,
    single: bool = False,
) -> tuple[SimulationRecipe, Draws]:
    """Parameters of n samples whose first element is a given one, for `records`.

    Parameters
    ----------
    rng : Generator
    n : int
    recipe : SimulationRecipe
    symbol : str
    allowed : tuple of str
        Samples with other elements are left out.
    single : bool
        Samples of the element alone.

    Returns
    -------
    SimulationRecipe, Draws
        The recipe as it was used, without empty spectra.

    Raises
    ------
    ValueError
        If the recipe gives no spectra of the element.
    """
    recipe = replace(recipe, empty_fraction=0.0, unlisted_fraction=0.0)
    if single:
        recipe = replace(recipe, max_elements=1)
    library = edge_library(recipe.edges == "major", recipe.measured_shapes)
    index = ELEMENTS.index(symbol)
    usable = np.zeros(len(ELEMENTS) + 1, dtype=bool)
    usable[[ELEMENTS.index(s) for s in allowed]] = True
    usable[-1] = True  # an unused slot, -1
    parts: list[Draws] = []
    found = rounds = 0
    while found < n:
        some = draw(rng, _ROUND, recipe, library)
        rows = np.nonzero((some.elements[:, 0] == index) & usable[some.elements].all(axis=1))[0]
        parts.append(some.take(rows[: n - found]))
        found += parts[-1].start_ev.size
        rounds += 1
        if found == 0 and rounds == 10:
            raise ValueError(
                f"the recipe gives no spectra of {symbol}: no edge of it lies in its window, or "
                "elements_left_out names it; leave it out of [dataset] elements"
            )
    names = [f.name for f in fields(Draws)]
    drawn = Draws(**{k: np.concatenate([getattr(p, k) for p in parts]) for k in names})
    # A record of 1 eV channels is put where the files' channels are centred, on whole
    # electronvolts; half a channel off, each would come out as the mean of two.
    aligned = (drawn.dispersion_ev == 1.0) & (drawn.stretch == 1.0)
    move = np.floor(drawn.start_ev - drawn.shift_ev) + drawn.shift_ev - 0.5 - drawn.start_ev
    move = np.where(aligned, move, 0.0)
    return recipe, replace(drawn, start_ev=drawn.start_ev + move, end_ev=drawn.end_ev + move)


def _columns(
    batch: SimulatedBatch, drawn: Draws, columns: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """The data sets of a block of spectra, one row each."""
    values, mask = rebin(
        np.asarray(batch.counts), batch.offset, batch.dispersion, batch.size, ANNYS_GRID
    )
    present = batch.present[:, columns]
    rows, slots = np.nonzero(drawn.elements >= 0)
    amounts = np.zeros(batch.present.shape)
    amounts[rows, drawn.elements[rows, slots]] = drawn.amounts[rows, slots]
    amounts = amounts[:, columns] * present
    total = amounts.sum(axis=1, keepdims=True)
    single = {
        f.name: getattr(drawn, f.name)
        for f in fields(Draws)
        if getattr(drawn, f.name).ndim == 1 and f.name != "reference"
    }
    parameters = np.zeros(
        present.shape[0], dtype=[(k, bool if v.dtype == bool else "f4") for k, v in single.items()]
    )
    for key, column in single.items():
        parameters[key] = column
    spectra = over_maximum(values, mask, ANNYS_GRID)
    where = np.argmax(spectra, axis=1)
    return {
        "spectra": spectra,
        "labels_identification": present.astype(np.uint8),
        "labels_quantification": (amounts / np.where(total > 0, total, 1.0)).astype(np.float32),
        "snr": batch.snr[:, columns].astype(np.float32),
        "maximum": values[np.arange(where.size), where].astype(np.float32),
        "parameters": parameters,
    }


def _edges(batch: SimulatedBatch, library: EdgeLibrary, begin: int) -> NDArray[Any]:
    """Every shell group in the records of a block, rows counted from the file's beginning."""
    edges = batch.edges
    kind = [("spectrum", "u4"), ("edge", "S8"), ("onset_ev", "f4"), ("jump_ratio", "f4")]
    out = np.zeros(edges["spectrum"].size, dtype=kind)
    out["spectrum"] = edges["spectrum"] + begin
    out["edge"] = np.array(library.labels, dtype="S8")[edges["group"]]
    out["onset_ev"], out["jump_ratio"] = edges["onset_ev"], edges["jump_ratio"]
    return out


def _append(file: Any, name: str, values: NDArray[Any]) -> None:
    """Add rows to a data set of an HDF5 file, which is made with the first ones."""
    if name in file:
        data = file[name]
        data.resize(data.shape[0] + values.shape[0], axis=0)
        data[-values.shape[0] :] = values
        return
    rows = _CHUNK_ROWS if values.ndim > 1 else _BLOCK
    file.create_dataset(
        name,
        data=values,
        maxshape=(None, *values.shape[1:]),
        chunks=(min(rows, max(values.shape[0], 1)), *values.shape[1:]),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )


def write_dataset(
    recipe: SimulationRecipe | GaussianRecipe,
    plan: DatasetPlan,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write a data set, or what is missing of it.

    Parameters
    ----------
    recipe : SimulationRecipe or GaussianRecipe
    plan : DatasetPlan
    folder : path
        Receives a folder for each split and ``manifest.json``, which lists every complete
        file with its SHA-256.
    resume : bool
        Go on in a folder that holds part of the same data set. Files that do not have the
        checksum of the manifest any more are made anew.
    workers : int, optional
        Processes on this machine; as many as it has cores without it.
    scheduler : str, optional
        Address of a dask.distributed scheduler, whose workers make the files instead.
    quiet : bool
        No progress.

    Returns
    -------
    dict
        ``files`` and ``spectra`` made now, ``bytes`` and ``total_spectra`` in the folder.

    Raises
    ------
    FileExistsError
        If the folder holds a data set and ``resume`` is false, or files that no manifest
        lists, as the published ones are.
    ValueError
        If it holds another one, or the rest of it would be made by another version of coreloss
        than what is there, or the recipe has no spectra of an element.
    """
    from coreloss.simulate.workers import Progress, finished

    target = Path(folder)
    if not plan.jobs():
        raise ValueError("the data set would have no spectra; give at least one for some split")
    identity = {"simulation": recipe.to_dict(), "dataset": {**asdict(plan)}}
    identity = json.loads(json.dumps(identity))  # as it is read back
    manifest = _manifest(target, identity, resume)
    target.mkdir(parents=True, exist_ok=True)
    for split, _ in plan.jobs():
        (target / SPLITS[split][0]).mkdir(exist_ok=True)
    for partial in target.glob("*/.*.partial"):
        partial.unlink()  # of a run that was killed
    files = manifest["files"]
    progress = Progress(sum(entry["spectra"] for entry in files.values()), quiet, " checked")
    missing = []
    for job in plan.jobs():
        if not _complete(target, files, _name(*job)):
            missing.append(job)
        progress.add(files.get(_name(*job), {}).get("spectra", 0))
    progress.end()
    began = manifest.get("version", __version__)
    if missing and files and began != __version__:
        raise ValueError(
            f"{target}: was begun by coreloss {began}, and {__version__} may simulate otherwise; "
            f"complete it with coreloss {began}, or choose another folder"
        )
    made = {"files": 0, "spectra": 0}
    arguments = [(recipe, plan, split, symbol) for split, symbol in missing]
    counts = [getattr(plan, split) for split, _ in missing]
    results: Iterator[tuple[int, bytes]] = finished(
        make_file, arguments, counts, workers=workers, scheduler=scheduler, quiet=quiet
    )
    for number, content in results:
        name = _name(*missing[number])
        if not files:  # a file beside no manifest would be taken for somebody else's
            _put(target / _MANIFEST, _text(manifest))
        _put(target / name, content)
        files[name] = {
            "spectra": counts[number],
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        _put(target / _MANIFEST, _text(manifest))
        made["files"] += 1
        made["spectra"] += counts[number]
    return {
        **made,
        "bytes": sum(entry["bytes"] for entry in files.values()),
        "total_spectra": sum(entry["spectra"] for entry in files.values()),
    }


def _manifest(folder: Path, identity: dict[str, Any], resume: bool) -> dict[str, Any]:
    path = folder / _MANIFEST
    if not path.is_file():
        for place, prefix in SPLITS.values():
            for other in sorted((folder / place).glob(f"{prefix}_*.hdf5")):
                raise FileExistsError(
                    f"{folder}: holds {other.name}, which no {_MANIFEST} lists; choose another "
                    "folder"
                )
        return {"format": 1, "version": __version__, **identity, "files": {}}
    if not resume:
        raise FileExistsError(f"{folder}: holds a data set; give --resume to complete it")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        same = all(manifest[key] == value for key, value in identity.items())
        sum(entry["bytes"] + entry["spectra"] for entry in manifest["files"].values())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: is no manifest of a data set ({error!r})") from None
    if not same:
        raise ValueError(f"{folder}: holds a data set of another recipe; choose another folder")
    return manifest


def _name(split: str, symbol: str) -> str:
    folder, prefix = SPLITS[split]
    return f"{folder}/{prefix}_{symbol}.hdf5"


def _complete(folder: Path, files: dict[str, Any], name: str) -> bool:
    """Whether a file is there as it was written; a disk may have damaged it since."""
    path = folder / name
    if name not in files or not path.is_file() or path.stat().st_size != files[name]["bytes"]:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == files[name].get("sha256")


def _put(path: Path, content: bytes) -> None:
    with whole(path) as partial:
        partial.write_bytes(content)


def _text(manifest: dict[str, Any]) -> bytes:
    ordered = {**manifest, "files": dict(sorted(manifest["files"].items()))}
    return (json.dumps(ordered, indent=1) + "\n").encode()
