"""Maps written to a folder: HyperSpy files, figure, table and summary, all or nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coreloss import __version__
from coreloss.io.rosetta import _silence
from coreloss.maps.source import NavigationAxis
from coreloss.plot import save as save_figure
from coreloss.whole import foreign, json_text

if TYPE_CHECKING:
    from coreloss.maps.amounts import Quantification
    from coreloss.maps.elements import ElementMaps

__all__ = ["check_folder", "save_maps", "save_quantification", "signal_dictionary"]

#: Formats of map files.
KINDS = ("hspy", "zspy")
_SUMMARY = "summary.json"
_SIGNALS = (
    "probabilities", "present", "atomic_percent", "atomic_percent_error",
    "atomic_percent_model_error", "amounts", "amounts_error", "likelihood_ratio", "residual",
    "chi2",
)  # fmt: skip
# all that a folder of results may hold
_OWN = frozenset(
    (
        _SUMMARY, "elements.csv", "maps.png", "maps.pdf", "composition.csv", "spectrum.csv",
        "quantification.png", "quantification.pdf",
        *(f"{name}.{kind}" for name in _SIGNALS for kind in KINDS),
    )
)  # fmt: skip


def check_folder(folder: str | os.PathLike[str], *, force: bool, kind: str = "hspy") -> Path:
    """Whether a result folder can be written, before the work is done.

    Raises
    ------
    ValueError
        If it exists (with ``force``: and is not, or not only, what this program wrote), its
        parent is missing or the kind of file cannot be written.
    """
    target = Path(folder)
    if kind not in KINDS:
        raise ValueError(f"cannot write maps as .{kind}; give one of {', '.join(KINDS)}")
    if kind == "zspy":
        _check_zspy()
    if not target.parent.is_dir():
        raise ValueError(f"{target.parent}: no such folder for the results; make it first")
    if not os.access(target.parent, os.W_OK):
        raise ValueError(f"{target.parent}: may not be written to; give another folder")
    if target.exists():
        if not force:
            raise ValueError(f"{target}: exists already; give --force to replace it")
        if other := "a file" if not target.is_dir() else foreign(target, _OWN, _SUMMARY):
            raise ValueError(
                f"{target}: exists and is no folder of results alone ({other}), so it is not "
                "replaced; give another name"
            )
    return target


def _check_zspy() -> None:
    """Raise ValueError if .zspy files cannot be written, before hours of work are lost."""
    if importlib.util.find_spec("zarr") is None:
        raise ValueError(
            ".zspy files need zarr; install it with \"pip install 'zarr<3'\", or take the kind hspy"
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            _write_signal(Path(folder) / "try.zspy", np.zeros((2, 2)), [NavigationAxis(2)] * 2)
        except Exception as error:  # not every RosettaSciIO works with every zarr
            raise ValueError(
                f".zspy files cannot be written with the zarr installed here ({error}); install "
                "another with \"pip install 'zarr<3'\", or take the kind hspy"
            ) from None


def signal_dictionary(
    values: NDArray[Any],
    axes: Sequence[NavigationAxis],
    *,
    title: str,
    names: Sequence[str] | None = None,
    quantity: str = "",
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A RosettaSciIO signal of maps.

    Parameters
    ----------
    values : ndarray, (*shape, n) with ``names``, else shape
        Written as (n, *shape); the last two axes of an image are those of a picture.
    axes : sequence of NavigationAxis
    title, quantity : str
    names : sequence of str, optional
        What the n maps are of.
    metadata : dict, optional
        Added to the HyperSpy metadata tree.
    """
    data = values if names is None else np.moveaxis(values, -1, 0)
    picture = min(2, len(axes))
    described: list[dict[str, Any]] = []
    if names is not None:
        described.append(
            {
                "size": len(names),
                "scale": 1.0,
                "offset": 0.0,
                "units": "",
                "name": "element",
                "navigate": True,
            }
        )
    for number, axis in enumerate(axes):
        described.append(
            {
                "size": axis.size,
                "scale": float(axis.scale),
                "offset": float(axis.offset),
                "units": axis.unit,
                "name": axis.name or "xyz"[max(0, len(axes) - 1 - number) % 3],
                "navigate": number < len(axes) - picture,
            }
        )
    for number, entry in enumerate(described):
        entry |= {"_type": "UniformDataAxis", "index_in_array": number}
    tree: dict[str, Any] = {
        "General": {"title": title},
        "Signal": {"signal_type": "", "quantity": quantity},
        "_HyperSpy": {},
    }
    for key, value in (metadata or {}).items():
        tree[key] = {**tree.get(key, {}), **value}
    if names is not None:
        tree.setdefault("Sample", {})["elements"] = list(names)
    tree["coreloss"] = {"version": __version__, "maps": list(names or [title])}
    return {
        "data": np.ascontiguousarray(data),
        "axes": described,
        "metadata": tree,
        "original_metadata": {},
        "learning_results": {},
        "attributes": {"_lazy": False, "ragged": False},
        "package_info": {"package": "coreloss", "package_version": __version__},
        "tmp_parameters": {},
        "models": {},
    }


def _write_signal(
    path: Path, values: NDArray, axes: Sequence[NavigationAxis], **about: Any
) -> None:
    """One file, titled by its name; ``about`` as in `signal_dictionary`."""
    signal = signal_dictionary(values, axes, title=path.stem, **about)
    if path.suffix == ".zspy":
        from rsciio.zspy import file_writer
    else:
        from rsciio.hspy import file_writer
    with _silence():
        file_writer(str(path), signal, show_progressbar=False)


def _written(
    folder: str | os.PathLike[str], force: bool, kind: str, fill: Callable[[Path], None]
) -> Path:
    """Fill a new folder beside the wanted one and put it in its place when it is whole."""
    target = check_folder(folder, force=force, kind=kind)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        fill(partial)
        partial.chmod(0o755)
        if target.exists():
            old = partial.with_name(partial.name + ".old")
            os.replace(target, old)
            os.replace(partial, target)
            shutil.rmtree(old)
        else:
            os.replace(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return target


def _instrument(metadata: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    if "beam_energy_kev" in metadata:
        tree["beam_energy"] = metadata["beam_energy_kev"]
    if "alpha_mrad" in metadata:
        tree["convergence_angle"] = metadata["alpha_mrad"]
    if "beta_mrad" in metadata:
        tree["Detector"] = {"EELS": {"collection_angle": metadata["beta_mrad"]}}
    return {"Acquisition_instrument": {"TEM": tree}} if tree else {}


def _write_maps(place: Path, maps: ElementMaps, tree: dict[str, Any], kind: str) -> None:
    if maps.elements:
        for name, values, quantity in (
            ("probabilities", maps.probabilities, "Probability"),
            ("present", maps.present.astype(np.uint8), "Presence"),
        ):
            _write_signal(
                place / f"{name}.{kind}", values, maps.axes,
                names=maps.elements, quantity=quantity, metadata=tree,
            )  # fmt: skip
    (place / "elements.csv").write_text(maps.csv(), encoding="utf-8")
    figure = maps.plot()
    save_figure(figure, place / "maps.png")
    save_figure(figure, place / "maps.pdf")


def save_maps(
    maps: ElementMaps,
    folder: str | os.PathLike[str],
    *,
    force: bool = False,
    kind: str = "hspy",
) -> Path:
    """Write element maps into a folder.

    ``probabilities.hspy`` (or .zspy), ``present.hspy``, ``elements.csv``, ``maps.png``,
    ``maps.pdf`` and ``summary.json``.

    Raises ValueError as `check_folder`.
    """

    def fill(place: Path) -> None:
        _write_maps(place, maps, _instrument(maps.metadata), kind)
        _write_summary(place, maps.to_dict(), maps.metadata)

    return _written(folder, force, kind, fill)


def save_quantification(
    result: Quantification,
    folder: str | os.PathLike[str],
    *,
    force: bool = False,
    kind: str = "hspy",
) -> Path:
    """Write a quantification into a folder.

    ``atomic_percent``, ``atomic_percent_error``, ``atomic_percent_model_error``, ``amounts``,
    ``amounts_error``, ``likelihood_ratio``, ``residual`` and ``chi2`` as .hspy or .zspy,
    ``composition.csv``, ``quantification.png`` and ``.pdf``, ``spectrum.csv`` (mean spectrum,
    model and background) and ``summary.json``; and the element maps' own files where elements
    were mapped.

    Raises ValueError as `check_folder`.
    """

    def fill(place: Path) -> None:
        tree = _instrument({**result.metadata, **result.microscope.to_dict()})
        for name, values, quantity in (
            ("atomic_percent", result.atomic_percent, "Composition (at%)"),
            ("atomic_percent_error", result.atomic_percent_errors, "Standard error (at%)"),
            (
                "atomic_percent_model_error",
                result.atomic_percent_model_errors,
                "Error of the model (at%)",
            ),
            ("amounts", result.amounts, f"Amount ({result.unit})"),
            ("amounts_error", result.errors, f"Standard error ({result.unit})"),
            ("likelihood_ratio", result.likelihood_ratio, "2 Δ ln L"),
            ("residual", result.residual, "Residual (standard errors)"),
        ):
            _write_signal(
                place / f"{name}.{kind}", values, result.axes,
                names=result.elements, quantity=quantity, metadata=tree,
            )  # fmt: skip
        _write_signal(
            place / f"chi2.{kind}", result.reduced_chi2, result.axes,
            quantity="χ² per degree of freedom", metadata=tree,
        )  # fmt: skip
        (place / "composition.csv").write_text(result.csv(), encoding="utf-8")
        lines = ["energy_ev,counts,model,background"]
        columns = [result.axis.energies, *(result.spectrum[k] for k in lines[0].split(",")[1:])]
        lines += [",".join(f"{v:.7g}" for v in row) for row in zip(*columns, strict=True)]
        (place / "spectrum.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        figure = result.plot()
        save_figure(figure, place / "quantification.png")
        save_figure(figure, place / "quantification.pdf")
        if result.maps is not None:
            _write_maps(place, result.maps, tree, kind)
        _write_summary(place, result.to_dict(), result.metadata)

    return _written(folder, force, kind, fill)


def _write_summary(place: Path, told: dict[str, Any], metadata: dict[str, Any]) -> None:
    record = {"coreloss": __version__, "file": metadata.get("file", ""), **told}
    (place / _SUMMARY).write_text(json_text(record, indent=1), encoding="utf-8")
