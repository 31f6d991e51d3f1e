"""The recipe of faint edges: what it calls present can be seen."""

import numpy as np

from coreloss.evaluate.edge_curves import gaussian_curves
from coreloss.evaluate.sensitivity import PUBLISHED
from coreloss.simulate import load_recipe, simulate
from coreloss.simulate.gaussian import GaussianRecipe
from coreloss.training.recipe import load_training_recipe


def test_the_faintest_edges_stand_out_of_the_noise_of_the_sensitivity_study() -> None:
    faint = load_recipe("kong2022-faint")
    assert isinstance(faint, GaussianRecipe)
    assert faint.white_noise[0] < 0.1 < faint.white_noise[1]
    # those of the paper's elements that a network trained on its strengths alone is late to see
    assert all(faint.jump_ratio_min < PUBLISHED[e][1] for e in ("V", "Cr", "Mn", "Fe", "Co", "Ni"))
    for curves in gaussian_curves(faint, faint.edges, 0):
        energies = curves.axis.energies
        seen = (energies >= 90.0) & (energies <= 1000.0)
        # a matched filter that knows neither height nor power of the background
        background = curves.background[seen]
        unknown = np.stack([background, background * np.log(energies[seen])], axis=1)
        base = np.linalg.qr(unknown)[0]
        edges = faint.jump_ratio_min * curves.curves[:, seen]
        edges = edges - (edges @ base) @ base.T
        ratio = np.linalg.norm(edges, axis=1) / (0.1 * curves.background.min())
        assert ratio.min() > 6.0, curves.label


def test_every_edge_of_a_faint_record_is_labelled() -> None:
    faint = load_recipe("kong2022-faint")
    batch = simulate(faint, 64, 3)
    assert (batch.present == batch.in_range).all()
    assert batch.edges["jump_ratio"].min() < 0.1


def test_the_training_recipe_mixes_faint_spectra_with_real_ones() -> None:
    recipe = load_training_recipe("kong2022-faint")
    assert recipe.simulation == load_recipe("kong2022-real")
    assert recipe.mixture.simulation == load_recipe("kong2022-faint")
