"""The figures of the documentation that show the simulation: docs/images/*.png.

Run: python tools/make_figures.py
"""

from __future__ import annotations

from pathlib import Path

from coreloss import load
from coreloss.plot_simulation import preprocessing, simulation_steps

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Draw both."""
    images = ROOT / "docs" / "images"
    simulation_steps(images / "simulation_steps.png")
    example = load(ROOT / "examples" / "lanthanum_manganite.csv")
    preprocessing(example, images / "preprocessing.png", title="From record to network input")


if __name__ == "__main__":
    main()
