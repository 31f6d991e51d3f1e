"""Model bundles: a network with all that is needed to use it rightly.

A bundle is a directory with ``model.onnx`` (input ``spectrum`` (n, channels, grid), or rows that
records share and where they stand in them, see `coreloss.networks.packing`; output ``logits``
(n, elements)) and ``card.json``: elements, input grid and channels, calibration,
threshold, training recipe and measured scores. The bundle of an ensemble has, instead of
``model.onnx``, a directory for each of the ``members`` that its card lists, bundles
themselves; it averages their probabilities. Nothing in it is executable.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS
from coreloss.grid import Grid
from coreloss.networks.inputs import CHANNEL_SETS, network_input
from coreloss.networks.session import open_session, run_network

__all__ = ["ModelBundle", "ModelError", "list_models", "load_model"]

_FORMAT = 1
_BATCH = 128


class ModelError(ValueError):
    """A model bundle that cannot be used; says which, why and what to do."""


@dataclass(frozen=True)
class ModelBundle:
    """A network with its card.

    Attributes
    ----------
    path : Path
    name, version : str
    elements : tuple of str
    grid : Grid
    threshold : float
        Calibrated probability from which an element is called present.
    slope, intercept : float
        Calibration: probability = sigmoid(slope · logit + intercept).
    shifts_ev : tuple of float [eV]
        Shifts of the axis over which logits are averaged.
    channels : tuple of str
        What the network sees; one of ``coreloss.networks.inputs.CHANNEL_SETS``.
    members : tuple of ModelBundle
        Of an ensemble, in which grid and channels are those of the first member; else empty.
    card : dict
        The whole card.
    """

    path: Path
    name: str
    version: str
    elements: tuple[str, ...]
    grid: Grid
    threshold: float
    slope: float
    intercept: float
    shifts_ev: tuple[float, ...]
    channels: tuple[str, ...]
    members: tuple[ModelBundle, ...] = field(repr=False)
    card: dict[str, Any] = field(repr=False)

    @classmethod
    def open(cls, path: str | Path) -> ModelBundle:
        """Read and check a bundle directory.

        Raises ModelError with one sentence for anything that is not a usable bundle.
        """
        folder = Path(path)
        _require(folder, "card.json")
        try:
            card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
            if card["format"] != _FORMAT:
                raise ModelError(
                    f"{folder}: has bundle format {card['format']}, this version of coreloss "
                    f"reads {_FORMAT}; install the matching version"
                )
            members = tuple(str(name) for name in card.get("members", ()))
            if any(name != Path(name).name or name.startswith(".") for name in members):
                raise ValueError(f"members are {members}, not folders of the bundle")
            if not members:
                _require(folder, "model.onnx")
            bundle = cls(
                folder,
                str(card["name"]),
                str(card["version"]),
                tuple(str(symbol) for symbol in card["elements"]),
                Grid.from_dict(card["input"]["grid"]),
                float(card["threshold"]),
                float(card["calibration"]["slope"]),
                float(card["calibration"]["intercept"]),
                tuple(float(shift) for shift in card.get("shift_average_ev", (0.0,))),
                tuple(card["input"].get("channels", ())),
                tuple(cls.open(folder / name) for name in members),
                card,
            )
        except ModelError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{folder}: its card.json cannot be read ({error!r}); export the model again"
            ) from None
        unknown = set(bundle.elements) - set(ELEMENTS)
        others = any(member.elements != bundle.elements for member in bundle.members)
        if unknown or others or bundle.channels not in CHANNEL_SETS.values():
            raise ModelError(
                f"{folder}: was made for other elements or input channels than this version of "
                "coreloss knows; export the model again"
            )
        return bundle

    def logits(self, inputs: NDArray[np.float32], *, threads: int = 0) -> NDArray[np.float32]:
        """Logits (n, n_elements) of network inputs (n, channels, grid) float32.

        ``threads`` limits the processor threads; 0 takes all. Raises ModelError for an
        ensemble, which has no logits of its own; see `predict`.
        """
        if self.members:
            raise ModelError(
                f"{self.path}: is an ensemble of {len(self.members)} networks; take the logits of "
                "its members"
            )
        session = _session(str(self.path / "model.onnx"), threads)
        expected = session.get_inputs()[0]
        fits = len(expected.shape) == inputs.ndim and all(
            not isinstance(a, int) or a == b
            for a, b in zip(expected.shape[1:], inputs.shape[1:], strict=True)
        )
        if expected.name != "spectrum" or not fits:
            raise ModelError(
                f"{self.path}: its network takes {expected.name!r} {expected.shape}, its card "
                f"says 'spectrum' (n, {inputs.shape[1]}, {inputs.shape[2]}); export the model again"
            )
        try:
            parts = [
                run_network(session, inputs[i : i + _BATCH]) for i in range(0, len(inputs), _BATCH)
            ]
        except MemoryError:
            raise
        except Exception as error:  # ONNX Runtime raises its own kinds, none of them documented
            raise ModelError(
                f"{self.path}: its network cannot be run on (n, {inputs.shape[1]}, "
                f"{inputs.shape[2]}), which is what its card says "
                f"({str(error).splitlines()[0]}); export the model again"
            ) from None
        out = np.concatenate(parts) if parts else np.zeros((0, len(self.elements)), np.float32)
        # rows that records share have no length of their own to be checked before
        if out.shape[0] != len(inputs):
            raise ModelError(
                f"{self.path}: its network answers {out.shape[0]} times for {len(inputs)} spectra "
                f"of {inputs.shape[2]} grid channels; its card is that of another grid: export "
                "the model again"
            )
        if out.shape[1] != len(self.elements):
            raise ModelError(
                f"{self.path}: its network gives {out.shape[1]} numbers for "
                f"{len(self.elements)} elements; export the model again"
            )
        return out

    def predict(
        self,
        counts: NDArray,
        offset: NDArray,
        dispersion: NDArray,
        size: NDArray,
        *,
        threads: int = 0,
    ) -> NDArray[np.float64]:
        """Calibrated probabilities (n, n_elements) of recorded spectra.

        Logits are averaged over the shifts of the axis; an ensemble averages the
        probabilities of its members (Annys et al. 2023), then calibrates their mean.

        Parameters
        ----------
        counts : ndarray, (n, n_energy) [counts/channel], finite
        offset, dispersion, size : ndarray, (n,)
            As for `coreloss.networks.inputs.rebin`.
        threads : int
            Processor threads; 0 takes all.
        """
        return self.probabilities(
            self.recorded_logits(counts, offset, dispersion, size, threads=threads)
        )

    def recorded_logits(
        self,
        counts: NDArray,
        offset: NDArray,
        dispersion: NDArray,
        size: NDArray,
        *,
        threads: int = 0,
    ) -> NDArray[np.float64]:
        """Logits (n, n_elements) of recorded spectra, before calibration; see `predict`."""
        given = (counts, offset, dispersion, size)
        begins = range(0, len(counts), _BATCH)
        workers = min(threads or _processors(), len(begins))
        if workers < 2:
            return self._block_logits(*given, threads=threads)
        # whole blocks side by side: threads within one wait for each other at every layer
        with ThreadPoolExecutor(workers) as pool:
            parts = pool.map(
                lambda begin: self._block_logits(
                    *(values[begin : begin + _BATCH] for values in given), threads=1
                ),
                begins,
            )
            return np.concatenate(list(parts))

    def _block_logits(
        self,
        counts: NDArray,
        offset: NDArray,
        dispersion: NDArray,
        size: NDArray,
        *,
        threads: int,
    ) -> NDArray[np.float64]:
        inputs: dict[tuple[Grid, tuple[str, ...], float], NDArray[np.float32]] = {}

        def of(member: ModelBundle) -> NDArray[np.float64]:
            total = np.zeros((counts.shape[0], len(member.elements)))
            for shift in member.shifts_ev:
                key = (member.grid, member.channels, shift)
                if key not in inputs:  # members mostly share theirs
                    inputs[key] = network_input(
                        counts, offset + shift, dispersion, size, member.grid, member.channels
                    )
                total += member.logits(inputs[key], threads=threads)
            return total / len(member.shifts_ev)

        if not self.members:
            return of(self)
        mean = np.mean([member.probabilities(of(member)) for member in self.members], axis=0)
        mean = np.clip(mean, 1e-9, 1.0 - 1e-9)
        return np.asarray(np.log(mean / (1.0 - mean)))

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated probabilities of logits, same shape."""
        z = np.clip(self.slope * np.asarray(logits, dtype=float) + self.intercept, -60.0, 60.0)
        return np.asarray(1.0 / (1.0 + np.exp(-z)))


def _processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _require(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        raise ModelError(
            f"{folder}: holds no {name}, so it is no model bundle; "
            "give a directory written by 'coreloss export' or a name that "
            "'coreloss models' lists"
        )


@lru_cache(maxsize=16)
def _session(path: str, threads: int) -> Any:
    try:
        return open_session(path, threads)
    except Exception as error:  # ONNX Runtime raises its own kinds, none of them documented
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{path}: ONNX Runtime cannot load it ({reason}); export the model again"
        ) from None


def _shipped() -> Path:
    with as_file(files("coreloss.data") / "models") as folder:
        return Path(folder)


def list_models() -> tuple[ModelBundle, ...]:
    """The models that ship with the package."""
    folder = _shipped()
    if not folder.is_dir():
        return ()
    return tuple(ModelBundle.open(entry) for entry in sorted(folder.iterdir()) if entry.is_dir())


@lru_cache(maxsize=8)
def _opened(path: str, modified: float) -> ModelBundle:
    return ModelBundle.open(path)


def load_model(model: str | os.PathLike[str] | ModelBundle | None = None) -> ModelBundle:
    """A model by name, by the path of a bundle, or the default one.

    Raises ModelError for what is neither.
    """
    if isinstance(model, ModelBundle):
        return model
    name = os.fspath(model) if model is not None else "default"
    shipped = _shipped() / name
    if name and os.sep not in name and shipped.is_dir():
        folder = shipped
    elif name and Path(name).is_dir():
        folder = Path(name)
    else:
        names = ", ".join(bundle.name for bundle in list_models()) or "none"
        raise ModelError(
            f"no model {name!r}: shipped models are {names}; "
            "give one of them or the directory of a bundle"
        )
    card = folder / "card.json"
    return _opened(str(folder), card.stat().st_mtime if card.is_file() else 0.0)
