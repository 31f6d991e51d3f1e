"""Time and memory of the whole published data set, or of some of its files.

Run: python benchmarks/dataset.py [--workers 2] [--elements O Gd | --all]

Writes the files of some of the 80 elements at full size, as 'coreloss simulate annys2023' does,
and scales the time to the 736,000 spectra; with --all it writes them all. Memory is what all
processes together hold in RAM at once, shared pages counted once.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

from results import write

from coreloss.simulate import load_recipe
from coreloss.simulate.dataset import PUBLISHED_ELEMENTS, SPLITS, DatasetPlan, make_file
from coreloss.simulate.workers import finished


def held(process: int) -> float:
    """MB in RAM of a process and its children (proportional set size), Linux only."""
    total = 0.0
    waiting = [process]
    while waiting:
        number = waiting.pop()
        try:
            for line in Path(f"/proc/{number}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) / 1e3
            for task in Path(f"/proc/{number}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, ValueError):
            continue  # it has just ended
    return total


class Watch(threading.Thread):
    """The most that was held, looked at four times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0.0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.25):
            self.most = max(self.most, held(os.getpid()))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--elements", nargs="+", default=["O", "Gd"], choices=PUBLISHED_ELEMENTS)
    parser.add_argument("--all", action="store_true", help="all 80 elements: 5 GB for a while")
    options = parser.parse_args()
    elements = PUBLISHED_ELEMENTS if options.all else options.elements
    recipe, plan = load_recipe("annys2023"), DatasetPlan()
    jobs = [(recipe, plan, split, symbol) for split in SPLITS for symbol in elements]
    counts = [getattr(plan, split) for _, _, split, _ in jobs]
    whole = len(PUBLISHED_ELEMENTS) * sum(getattr(plan, split) for split in SPLITS)
    watch = Watch()
    watch.start()
    begun, size = time.perf_counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        for number, content in finished(make_file, jobs, counts, workers=options.workers):
            (Path(folder) / f"{number}.hdf5").write_bytes(content)
            size += len(content)
    seconds = time.perf_counter() - begun
    watch.over.set()
    watch.join()
    share = sum(counts) / whole
    lines = [
        "| what | measured | |",
        "|---|---|---|",
        f"| spectra written | {sum(counts):,} | {100 * share:.1f} % of the whole |",
        f"| time, {options.workers} workers, their start included | {seconds:.1f} | s |",
        f"| rate | {sum(counts) / seconds:.0f} | spectra/s |",
        f"| most memory, all processes together | {watch.most:.0f} | MB |",
        f"| size | {size / 1e6:.0f} | MB |",
    ]
    if share < 1:
        lines += [
            f"| the whole, {whole:,} spectra, scaled: time | {seconds / share / 60:.1f} | min |",
            f"| the whole, scaled: size | {size / share / 1e9:.1f} | GB |",
            "",
            f"Files of {', '.join(elements)} at full size. The memory does not grow with the "
            "number of files.",
        ]
    command = "python benchmarks/dataset.py" + " --all" * options.all
    write("Data set of Annys et al. 2023", command, "\n".join(lines))


if __name__ == "__main__":
    main()
