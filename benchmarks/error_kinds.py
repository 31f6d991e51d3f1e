"""What a model gets wrong on its recipe: elements too faint, taken for one another, or covered.

Run: python benchmarks/error_kinds.py [--spectra 4096] [--models RECIPE=BUNDLE …]

At the threshold where precision equals recall on a tenth as many other spectra. A missed element
is *faint* where its Cramér-Rao signal-to-noise ratio is below 5, and a false one where it is in
the sample, but too faint for a label. A missed element is *taken for another* where something
wrongly found has an edge within 25 eV of one of its edges; it is *beside another* where each of
its edges lies within 15 eV before to 110 eV behind an edge of another element of the sample,
whose fine structure reaches that far. False ones are sorted alike. Then the scores, and what they
were if one kind of error were right.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from results import write

from coreloss.edges import edges_of
from coreloss.identification import load_model
from coreloss.simulate import SimulatedBatch, load_recipe, simulate
from coreloss.training.metrics import balanced_threshold, exact_match_rate, weighted_scores

SEED = 985_000_000
FAINT = 5.0
SAME_EV = 25.0
BEFORE_EV, BEHIND_EV = 15.0, 110.0
KINDS = ("faint", "taken for another", "beside another", "other")

Flags = NDArray[np.bool_]


def kinds(
    batch: SimulatedBatch, elements: tuple[str, ...], present: Flags, found: Flags
) -> dict[str, Flags]:
    """Wrong decisions, (n, n_elements), by their kind."""
    wrong = present != found
    snr = batch.snr[:, [batch.elements.index(symbol) for symbol in elements]]
    table = [np.array([edge.onset_ev for edge in edges_of(symbol)]) for symbol in elements]
    out = {kind: np.zeros_like(present) for kind in KINDS}
    for row in np.nonzero(wrong.any(axis=1))[0]:
        start = batch.offset[row]
        end = start + batch.size[row] * batch.dispersion[row]
        inside = [onsets[(onsets > start) & (onsets < end)] for onsets in table]

        def of(which: Flags, inside: list[NDArray[np.float64]] = inside) -> NDArray[np.float64]:
            return np.concatenate([inside[i] for i in np.nonzero(which)[0]] or [np.empty(0)])

        missed, false = (present & ~found)[row], (found & ~present)[row]
        for element in np.nonzero(wrong[row])[0]:
            own = inside[element][:, None]
            counterpart = of(false if missed[element] else missed)[None, :]
            others = present[row].copy()
            others[element] = False
            behind = own - of(others)[None, :]
            covered = (behind > -BEFORE_EV) & (behind < BEHIND_EV)
            if 0.0 < snr[row, element] < (FAINT if missed[element] else np.inf):
                kind = "faint"
            elif (np.abs(own - counterpart) <= SAME_EV).any():
                kind = "taken for another"
            elif covered.any(axis=1).all():
                kind = "beside another"
            else:
                kind = "other"
            out[kind][row, element] = True
    return out


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=4096)
    parser.add_argument(
        "--models", nargs="*", default=["default=default"], help="recipe and bundle, with '='"
    )
    options = parser.parse_args()
    lines = [
        f"| recipe, model | what | {' | '.join(KINDS)} | all, as it is |",
        "|---" * (len(KINDS) + 3) + "|",
    ]
    for pair in options.models:
        name, _, model = pair.partition("=")
        recipe, bundle = load_recipe(name), load_model(model)
        label = f"`{name}`, {bundle.name}"
        parts = []
        for seed, n in ((SEED, options.spectra), (SEED + 1, options.spectra // 10)):
            batch = simulate(recipe, n, seed)
            probability = bundle.predict(
                np.asarray(batch.counts), batch.offset, batch.dispersion, batch.size
            )
            columns = [batch.elements.index(symbol) for symbol in bundle.elements]
            parts.append((batch, batch.present[:, columns], probability))
        batch, present, probability = parts[0]
        found = probability >= balanced_threshold(*parts[1][1:])
        sorted_out = kinds(batch, bundle.elements, present, found)
        for what, which in (("missed", present), ("false", found)):
            counted = [int((wrong & which).sum()) for wrong in sorted_out.values()]
            lines.append(f"| {label} | {what} | {' | '.join(map(str, (*counted, sum(counted))))} |")
        cells = []
        for mended in (*sorted_out.values(), np.zeros_like(found)):
            kept = np.where(mended, present, found)
            f1, exact = weighted_scores(present, kept)[2], exact_match_rate(present, kept)
            cells.append(f"{f1:.3f} / {exact:.3f}")
        lines.append(f"| {label} | F1 / exact, were these right | {' | '.join(cells)} |")
    doc = (__doc__ or "").split("\n\n")[2]
    body = f"{options.spectra:,} spectra each. {' '.join(doc.split())}"
    write(
        "Kinds of errors",
        f"python benchmarks/error_kinds.py --spectra {options.spectra} --models default=default "
        "annys2023=DIR/compact-from-default",
        "\n".join([*lines, "", body]),
    )


if __name__ == "__main__":
    main()
