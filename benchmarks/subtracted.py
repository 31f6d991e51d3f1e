"""Real records less a background as laboratories subtract it.

Run: python benchmarks/subtracted.py [--models NAME=BUNDLE ...] [--real ../shared/real]

Of every data set, its axis corrected by hand, and every main edge of its truth: a power law is
fitted to the 45 eV that end 5 eV before the edge, each channel as sure as it was counted, and
subtracted; the record then begins 25 eV before the edge, or 8 eV. Wanted are the elements whose
main edges begin at this edge or later. 'Its own' is how often the element of this edge is named.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from results import ROOT, write

from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis
from coreloss.evaluate.folder import entries_of, on_corrected_axis
from coreloss.identification import ModelBundle, identify, load_model
from coreloss.io import load

#: eV kept before the edge
KEPT = (25.0, 8.0)
_FITTED_EV = (50.0, 5.0)
_FEWEST = 8
_LEAST_CHANNELS = 24
_STEEPEST = 8.0


@dataclass(frozen=True)
class Record:
    """A subtracted record: whose edge it was fitted before, and what may be found in it."""

    own: str
    counts: NDArray[np.float64]
    axis: EnergyAxis
    wanted: frozenset[str]
    allowed: frozenset[str]


def subtracted(folder: Path, kept_ev: float) -> list[Record]:
    """All that the data sets of a folder's manifest give."""
    out = []
    for entry in entries_of(folder / "manifest.json"):
        spectrum = on_corrected_axis(load(folder / entry["file"]).summed(), entry)
        energies, dispersion = spectrum.axis.energies, spectrum.axis.dispersion
        counts = np.asarray(spectrum.counts, dtype=float).ravel()
        truth = entry["elements_in_range"]
        onsets = sorted(
            (edge.onset_ev, symbol)
            for symbol in truth
            for edge in edges_of(symbol)
            if edge.major and energies[0] + KEPT[0] < edge.onset_ev < energies[-1] - 20.0
        )
        for onset, own in onsets:
            window = (energies > onset - _FITTED_EV[0]) & (energies < onset - _FITTED_EV[1])
            window &= counts > 0
            first = int(np.searchsorted(energies, onset - kept_ev))
            if window.sum() < _FEWEST or counts.size - first < _LEAST_CHANNELS:
                continue
            x, y, weight = np.log(energies[window]), np.log(counts[window]), counts[window]
            slope = np.clip(np.polyfit(x, y, 1, w=np.sqrt(weight))[0], -_STEEPEST, 0.0)
            level = np.average(y - slope * x, weights=weight)
            left = counts - np.exp(level) * energies**slope
            out.append(
                Record(
                    own,
                    left[first:],
                    EnergyAxis(float(energies[first]), dispersion, counts.size - first),
                    frozenset(symbol for at, symbol in onsets if at >= onset - 1.0),
                    frozenset(truth) | frozenset(entry.get("ambiguous") or ()),
                )
            )
    return out


def row(name: str, records: list[Record], bundle: ModelBundle, whole: bool) -> str:
    """A line of the table."""
    how = {"axis_mode": "auto", "evidence": True} if whole else {}
    right = own = wanted = hits = false = 0
    for record in records:
        found = set(identify(record.counts, record.axis, model=bundle, threads=1, **how).found)
        false += len(found - record.allowed)
        hits += len(found & record.wanted)
        wanted += len(record.wanted)
        own += record.own in found
        right += record.wanted <= found <= record.allowed
    number = len(records)
    precision = hits / max(hits + false, 1)
    return (
        f"| {name} | {'whole' if whole else 'network'} | {own / number:.3f} | "
        f"{hits / wanted:.3f} | {precision:.3f} | {right / number:.3f} |"
    )


def main() -> None:
    """Write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["default=default"])
    parser.add_argument("--real", type=Path, default=ROOT / ".." / "shared" / "real")
    options = parser.parse_args()
    if not (options.real / "manifest.json").is_file():
        raise SystemExit(f"{options.real}: holds no manifest.json; give --real FOLDER")
    lines = []
    for kept in KEPT:
        records = subtracted(options.real, kept)
        lines += [
            f"**beginning {kept:g} eV before the edge**, {len(records)} records",
            "",
            "| model | | its own | recall | precision | exact |",
            "|---|---|---|---|---|---|",
        ]
        for name, _, place in (text.partition("=") for text in options.models):
            bundle = load_model(place)
            label = f"{name} ({bundle.version})"
            lines += [row(label, records, bundle, whole) for whole in (False, True)]
        lines.append("")
    lines.append(
        "The whole command judges with what was fitted for the default model, whichever network "
        "it is given. Records of one data set are not independent."
    )
    names = " ".join(
        f"{name}={place if place == 'default' else 'BUNDLE'}"
        for name, _, place in (text.partition("=") for text in options.models)
    )
    command = f"python benchmarks/subtracted.py --models {names}"
    write("Backgrounds fitted and subtracted", command, "\n".join(lines))


if __name__ == "__main__":
    main()
