"""Draw the figures of systems.md after those of Annys et al. 2023.

Run: python docs/systems_figures.py [steps preprocessing occurrence confusion predictions]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from coreloss import EnergyAxis, Identification, Spectra, identify
from coreloss.evaluate.stored import confusion_of_recipe, occurrence_of_recipe
from coreloss.plot_predictions import predictions
from coreloss.plot_simulation import confusion_matrix, occurrence, preprocessing, simulation_steps
from coreloss.simulate import load_recipe, simulate_sample

IMAGES = Path(__file__).parent / "images"
#: sample, window [eV], eV/channel, highest channel, jump ratio; one seed for all
SAMPLES = {
    "BN on carbon": ({"B": 1, "N": 1, "C": 0.3}, (160, 520), 1.0, 1e5, 0.6),
    "SrTiO₃": ({"Ti": 1, "O": 3, "Sr": 1}, (400, 700), 1.0, 3e4, 0.5),
    "Fe₂O₃, faint": ({"Fe": 2, "O": 3}, (480, 830), 1.0, 2e3, 0.3),
    "CeO₂, wide": ({"Ce": 1, "O": 2}, (400, 1300), 2.0, 1e5, 0.4),
    "GaAs": ({"Ga": 1, "As": 1}, (1050, 1500), 1.0, 3e4, 0.5),
    "Si₃N₄ on SiO₂": ({"Si": 5, "N": 4, "O": 4}, (80, 620), 1.0, 1e6, 0.5),
}


def record(name: str) -> Spectra:
    """A simulated record of one of the samples."""
    composition, (start, end), channel, counts, jump = SAMPLES[name]
    batch = simulate_sample(
        composition, start_ev=start, end_ev=end, dispersion_ev=channel, counts=counts,
        jump_ratio=jump, seed=1,
    )  # fmt: skip
    size = int(batch.size[0])
    axis = EnergyAxis(float(batch.offset[0]), float(batch.dispersion[0]), size)
    return Spectra(np.asarray(batch.counts)[0, :size], axis)


def answer(name: str) -> Identification:
    """What the default model says of it."""
    spectrum = record(name)
    found = identify(spectrum.counts, spectrum.axis)
    assert isinstance(found, Identification)
    return found


def steps() -> None:
    """Figure 2: how a spectrum of CeO2 is made."""
    simulation_steps(IMAGES / "simulation_steps.png")


def prepared() -> None:
    """Figure 3: from a record to what the network sees."""
    preprocessing(record("CeO₂, wide"), IMAGES / "preprocessing.png", detail=(510.0, 580.0))


def occurring() -> None:
    """Figure 4: how often each element occurs."""
    recipe = load_recipe("annys2023")
    occurrence(
        {"recipe annys2023, 20,000 spectra": occurrence_of_recipe(recipe, 20_000, 0)},
        IMAGES / "annys2023_occurrence.png",
    )


def confused() -> None:
    """Supplement: what spectra of one element each are taken for by the default model."""
    matrix = confusion_of_recipe(load_recipe("default"), 40, 0)
    confusion_matrix(
        matrix, IMAGES / "confusion.png", title="Default model, recipe default, one element each:"
    )


def predicted() -> None:
    """Figure 6: six spectra with the default model's answers."""
    predictions([answer(name) for name in SAMPLES], IMAGES / "predictions.png", titles=[*SAMPLES])


FIGURES = {
    "steps": (steps, "simulation_steps", 1.0),
    "preprocessing": (prepared, "preprocessing", 1.0),
    "occurrence": (occurring, "annys2023_occurrence", 1.0),
    "confusion": (confused, "confusion", 0.85),
    "predictions": (predicted, "predictions", 0.5),
}


def shrink(path: Path, scale: float) -> None:
    """Scale a picture down and keep 96 colours: a third of the bytes, and no other look."""
    picture = Image.open(path).convert("RGB")
    size = (round(picture.width * scale), round(picture.height * scale))
    small = picture.resize(size, Image.Resampling.LANCZOS)
    # the default method drops the rare colours, and those are the ones that mean something
    few = small.quantize(96, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or FIGURES:
        draw, stem, scale = FIGURES[name]
        draw()
        shrink(IMAGES / f"{stem}.png", scale)
