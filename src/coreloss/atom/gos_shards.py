"""Build the table of generalised oscillator strengths, one file an element, then pack it.

An interrupted build goes on where it stopped: the elements done lie in a work folder.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from coreloss import __version__
from coreloss.atom.gos_build import ElementStrengths, element_strengths, settings
from coreloss.atom.gos_grid import MomentumScale
from coreloss.atom.gos_table import pack
from coreloss.edges import ELEMENTS, edges_of
from coreloss.whole import whole

__all__ = ["build_shards", "read_shard", "shard_path", "write_table"]


def shard_path(work: Path, symbol: str) -> Path:
    """File of one element; its name changes with what the result depends on."""
    onsets = [(edge.subshell, edge.onset_ev) for edge in edges_of(symbol)]
    key = hashlib.sha256(repr((settings(), onsets)).encode()).hexdigest()[:12]
    return work / f"{symbol}-{key}.npz"


def _make(work: str, symbol: str) -> str:
    """Compute and write one element's file, whole or not at all."""
    path = shard_path(Path(work), symbol)
    strengths = element_strengths(symbol)
    with whole(path) as partial, partial.open("wb") as stream:
        np.savez(
            stream,
            excess_ev=strengths.excess_ev,
            subshell=np.array(strengths.subshells),
            scale=np.array([(s.onset_ev, s.width, s.tail) for s in strengths.scales]),
            log_strength=strengths.log_strength.astype(np.float32),
            highest_multipole=strengths.highest_multipole,
        )
    return symbol


def read_shard(work: Path, symbol: str) -> ElementStrengths:
    """What `build_shards` has written for one element."""
    with np.load(shard_path(work, symbol), allow_pickle=False) as data:
        return ElementStrengths(
            symbol,
            data["excess_ev"],
            tuple(str(name) for name in data["subshell"]),
            tuple(MomentumScale(*(float(v) for v in row)) for row in data["scale"]),
            data["log_strength"].astype(float),
            int(data["highest_multipole"]),
        )


def build_shards(
    work: Path,
    *,
    jobs: int = 1,
    symbols: tuple[str, ...] = ELEMENTS,
    progress: Callable[[int, int, float], None] | None = None,
) -> None:
    """Compute the elements that are not in the work folder yet.

    Parameters
    ----------
    work : Path
        Made if missing.
    jobs : int
        Processes.
    symbols : tuple of str
    progress : callable, optional
        Called with elements done, their number and the seconds left.
    """
    work.mkdir(parents=True, exist_ok=True)
    missing = [s for s in symbols if not shard_path(work, s).is_file()]
    # the work of an element grows with its subshells
    load = {s: len(edges_of(s)) + 2.0 for s in symbols}
    total, start = sum(load[s] for s in missing), time.monotonic()
    done, finished = 0.0, len(symbols) - len(missing)

    def report(symbol: str) -> None:
        nonlocal done, finished
        done += load[symbol]
        finished += 1
        if progress is not None:
            left = (time.monotonic() - start) * (total - done) / done
            progress(finished, len(symbols), left)

    if jobs <= 1:
        for symbol in missing:
            report(_make(str(work), symbol))
        return
    # the longest first, so that no process ends alone
    order = sorted(missing, key=lambda s: -load[s])
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_make, str(work), symbol) for symbol in order]
        try:
            for future in as_completed(waiting):
                report(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def write_table(work: Path, out: Path, *, symbols: tuple[str, ...] = ELEMENTS) -> int:
    """Pack the elements of a work folder into one table; returns the number of subshells.

    Raises
    ------
    OSError
        If an element's file is missing, or the table cannot be written.
    """
    names, scales, peaks, codes, element = [], [], [], [], []
    excess = []
    multipole = 0
    for number, symbol in enumerate(symbols):
        strengths = read_shard(work, symbol)
        excess.append(strengths.excess_ev)
        multipole = max(multipole, strengths.highest_multipole)
        for subshell, scale, logs in zip(
            strengths.subshells, strengths.scales, strengths.log_strength, strict=True
        ):
            peak, code = pack(logs)
            names.append(f"{symbol} {subshell}")
            scales.append((scale.onset_ev, scale.width, scale.tail))
            peaks.append(peak)
            codes.append(code)
            element.append(number)
    provenance = {
        **settings(),
        "made_by": f"coreloss {__version__}, coreloss gos build",
        "highest_multipole": multipole,
        "onsets": "coreloss edge table",
    }
    with whole(out) as partial, partial.open("wb") as stream:
        np.savez_compressed(
            stream,
            subshell=np.array(names),
            element=np.array(element, dtype=np.int16),
            scale=np.array(scales),
            excess_ev=np.array(excess),
            peak=np.array(peaks),
            code=np.array(codes),
            provenance=np.array(json.dumps(provenance)),
        )
    return len(names)
