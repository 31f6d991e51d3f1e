"""The six networks of Annys et al. 2023, their reductions, and ensembles of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

import coreloss  # noqa: E402
from coreloss.energy import EnergyAxis  # noqa: E402
from coreloss.grid import ANNYS_GRID  # noqa: E402
from coreloss.identification import ModelError, load_model  # noqa: E402
from coreloss.networks import build, members_of  # noqa: E402
from coreloss.networks.inputs import PLAIN, network_input  # noqa: E402
from coreloss.networks.layers import Dropout  # noqa: E402
from coreloss.training import combine_bundles, export_all, export_bundle, train  # noqa: E402
from coreloss.training.recipe import load_training_recipe  # noqa: E402

# Table 2, millions
PUBLISHED = {"mlp": 56, "cnn": 45, "resnet": 41, "unet": 20, "vit": 2, "cct": 5}

#: options that make each network small
SMALL: dict[str, dict] = {
    "mlp": {"widths": (32, 16)},
    "cnn": {"widths": ((4,), (8, 8)), "kernel": 4, "head": (16,)},
    "resnet": {"widths": (4, 8), "blocks": (1, 2), "kernel": 4},
    "unet": {"widths": (4, 8, 8), "kernel": 4, "head": (32, 16)},
    "vit": {"width": 16, "blocks": 1, "heads": 2, "head_size": 8, "hidden": 16, "head": (16,)},
    "cct": {"widths": (4, 8), "kernel": 4, "blocks": 1, "heads": 2, "head_size": 8, "hidden": 16},
}
REDUCTIONS = {
    "cnn": ("flatten", "convolution", "average", "sequence"),
    "resnet": ("flatten", "convolution", "average", "sequence"),
    "unet": ("flatten", "convolution", "average", "sequence"),
    "vit": ("flatten", "convolution", "average", "sequence", "token"),
    "cct": ("flatten", "convolution", "average", "sequence", "token"),
}

RECIPE = """
[simulation]
base = "annys2023"

[input]
grid = "annys2023"
channels = "counts"
size = 1536

[network]
name = "{name}"
{options}

[training]
spectra = 64
batch_size = 16
chunk = 32
optimiser = "adam"
learning_rate = 1e-3
schedule = "plateau"
soft_f1 = 1.0
ambiguous_snr = [0.0, 0.0]
ambiguous_weight = 1.0
ema = 0.0
bf16 = false
validation_spectra = 32
validate_every = 64
"""


def toml(options: dict) -> str:
    return "\n".join(
        f"{key} = {json.dumps(list(v) if isinstance(v, tuple) else v)}"
        for key, v in options.items()
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str) -> None:
    with torch.device("meta"):
        network = build(name, n_channels_in=1, n_grid=3072, n_elements=80)
        assert network(torch.empty(2, 1, 3072)).shape == (2, 80)
    number = sum(p.numel() for p in network.parameters())
    assert number / 1e6 == pytest.approx(PUBLISHED[name], rel=0.03)


@pytest.mark.parametrize(
    ("name", "reduction"), [(name, kind) for name, kinds in REDUCTIONS.items() for kind in kinds]
)
def test_reductions(name: str, reduction: str) -> None:
    network = build(
        name, n_channels_in=1, n_grid=128, n_elements=5, **SMALL[name], reduction=reduction
    )
    logits = network(torch.randn(3, 1, 128))
    assert logits.shape == (3, 5)
    logits.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


def test_unknown_reductions_and_grids_get_a_sentence() -> None:
    for name, kinds in REDUCTIONS.items():
        with pytest.raises(ValueError, match="reduction is 'mean'; choose one of convolution"):
            build(name, n_channels_in=1, n_grid=128, n_elements=5, **SMALL[name], reduction="mean")
        assert ("token" in kinds) == (name in ("vit", "cct"))
    with pytest.raises(ValueError, match="multiple of 32"):
        build("cnn", n_channels_in=1, n_grid=1000, n_elements=5)
    with pytest.raises(ValueError, match="as many of both"):
        build("resnet", n_channels_in=1, n_grid=128, n_elements=5, widths=(8, 4), blocks=(1, 1))
    with pytest.raises(ValueError, match="too many for a grid"):
        build("cct", n_channels_in=1, n_grid=64, n_elements=5)


@pytest.mark.parametrize("name", ["unet", "resnet"])
def test_no_network_begins_dead(name: str) -> None:
    """A 1×1 convolution to one channel, then ReLU: one bad draw would silence everything."""
    for seed in range(6):
        torch.manual_seed(seed)
        network = build(name, n_channels_in=1, n_grid=128, n_elements=5, **SMALL[name])
        network(torch.rand(4, 1, 128)).square().sum().backward()
        first = next(network.parameters())
        assert first.grad is not None
        assert float(first.grad.abs().max()) > 0.0


def test_fused_and_plain_attention_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    from coreloss.networks import transformer

    torch.manual_seed(1)
    attention = transformer._Attention(16, 2, 8, 0.0)
    x = torch.randn(2, 37, 16, requires_grad=True)
    found = []
    for plain in (frozenset(), frozenset({torch.float32})):
        monkeypatch.setattr(transformer, "_PLAIN_ON_CPU", plain)
        with torch.profiler.profile() as profile:
            y = attention(x)
        fused = any("scaled_dot_product" in event.key for event in profile.key_averages())
        assert fused == (not plain)
        found.append((y, *torch.autograd.grad(y.square().sum(), [x, *attention.parameters()])))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_dropout_is_that_of_torch() -> None:
    """Zeros as often as asked, each by itself, the others larger; nothing when not training."""
    torch.manual_seed(1)
    layer = Dropout(0.3)
    x = torch.ones(250, 1001, requires_grad=True)
    y = layer(x)
    kept = y.detach() > 0
    assert float(kept.float().mean()) == pytest.approx(0.7, abs=0.004)
    torch.testing.assert_close(y.detach()[kept], torch.full((int(kept.sum()),), 1 / 0.7))
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())
    # four neighbours come of one random number
    for apart in (1, 2, 3, 4, 1001):
        pair = kept.flatten()[:-apart] & kept.flatten()[apart:]
        assert float(pair.float().mean()) == pytest.approx(0.49, abs=0.006)
    assert not torch.equal(layer(x), y)
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_first_weights_are_those_of_the_published_code() -> None:
    """He's rule in convolutional networks, Glorot's in transformers; no biases."""
    torch.manual_seed(1)
    network = build("unet", n_channels_in=1, n_grid=3072, n_elements=80)
    deep = network.down[4][0][1]
    assert float(deep.weight.detach().std()) == pytest.approx((2 / (128 * 32)) ** 0.5, rel=0.01)
    assert float(deep.weight.detach().abs().max()) < 2.3 * (2 / (128 * 32)) ** 0.5  # cut off
    assert not network.head[-1].bias.any()
    assert (network.down[4][0][2].eps, network.down[4][0][2].momentum) == (1e-3, 0.01)
    transformer = build("vit", n_channels_in=1, n_grid=3072, n_elements=80)
    attention = transformer.body.blocks[0].attention[1]
    dense = transformer.body.blocks[0].dense[1]
    # Keras: queries (128, 16 heads, 16), the way out (16 heads, 16, 128), as convolutions
    for layer, inputs, outputs in (
        (attention.inwards, 128 * 16, 128 * 16),
        (attention.outwards, 16 * 16, 16 * 128),
        (dense, 128, 256),
        (transformer.patches, 16, 128),
    ):
        assert float(layer.weight.detach().abs().max()) == pytest.approx(
            (6 / (inputs + outputs)) ** 0.5, rel=5e-3
        )
        assert not layer.bias.any()
    assert float(transformer.body.place.detach().abs().max()) == pytest.approx(0.05, rel=1e-3)


def test_the_class_token_has_a_place() -> None:
    network = build(
        "vit", n_channels_in=1, n_grid=128, n_elements=5, **SMALL["vit"], reduction="token"
    )
    places = network.body.place.shape[1]
    assert places == 1 + (128 - network.patches.kernel_size[0]) // network.patches.stride[0] + 1
    network(torch.rand(2, 1, 128)).square().sum().backward()
    assert network.body.place.grad[0, 0].any()
    assert network.body.token.grad.any()


def test_plain_input_is_counts_over_their_maximum() -> None:
    counts = np.zeros((2, 400))
    counts[:, :300] = np.linspace(900.0, 100.0, 300)
    made = network_input(
        counts, np.array([60.0, 500.0]), np.ones(2), np.array([300, 300]), ANNYS_GRID, PLAIN
    )
    assert made.shape == (2, 1, 3072)
    assert made.max() == 1.0
    # zero below 76 eV, also where the record goes on
    assert not made[0, 0, :76].any()
    assert made[0, 0, 76] == 1.0
    assert not made[1, 0, 800:].any()
    np.testing.assert_allclose(made[1, 0, 500:800], counts[1, :300] / 900.0, rtol=1e-6)


def test_ensembles_by_name() -> None:
    assert members_of("2xViT+3xU-Net") == ("vit", "vit", "unet", "unet", "unet")
    assert members_of("compact + 2 x cct") == ("compact", "cct", "cct")
    assert members_of("ResNet") == ("resnet",)
    for wrong in ("2xViT+transformer", "0xvit", "", "vit+"):
        with pytest.raises(ValueError, match="no network"):
            members_of(wrong)


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_network_trains_exports_and_identifies(name: str, tmp_path: Path) -> None:
    recipe = tmp_path / f"{name}.toml"
    recipe.write_text(RECIPE.format(name=name, options=toml(SMALL[name])))
    outcome = train(recipe, tmp_path / "run", threads=1, quiet=True)
    assert outcome["finished"]
    bundle = export_bundle(tmp_path / "run", tmp_path / "bundle", calibration_spectra=32)
    model = load_model(bundle)
    assert model.channels == PLAIN
    energy = np.arange(400.0, 700.0)
    result = coreloss.identify(1e5 * (energy / 400) ** -3, energy, model=bundle)
    assert len(result.probabilities) == 83
    assert all(0 <= p <= 1 for p in result.probabilities.values())


def test_ensemble_from_one_recipe_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coreloss.cli import main

    recipe = tmp_path / "both.toml"
    options = f"[network.mlp]\n{toml(SMALL['mlp'])}\n[network.cct]\n{toml(SMALL['cct'])}"
    recipe.write_text(RECIPE.format(name="2xMLP+CCT", options=options))
    run = tmp_path / "run"
    stopped = train(recipe, run, threads=1, quiet=True, max_minutes=0.0)
    assert stopped["spectra"] == 32
    with pytest.raises(FileExistsError, match="--resume"):
        train(recipe, run, threads=1, quiet=True)
    outcome = train(recipe, run, threads=1, quiet=True, resume=True)
    assert (outcome["spectra"], outcome["finished"]) == (3 * 64, True)
    names = ["1-mlp", "2-mlp", "3-cct"]
    assert sorted(p.name for p in run.iterdir()) == [*names, "recipe.toml"]
    one, two = (load_training_recipe(run / n / "recipe.toml") for n in names[:2])
    assert (one.network, one.schedule.seed, two.schedule.seed) == ("mlp", 1, 2)

    bundle = export_bundle(run, tmp_path / "bundle", name="both", calibration_spectra=64)
    model = load_model(bundle)
    assert [m.path.name for m in model.members] == names
    assert sorted(p.name for p in bundle.rglob("*.onnx")) == ["model.onnx"] * 3
    assert model.card["training"]["spectra_seen"] == 3 * 64
    counts = np.random.default_rng(0).poisson(100.0, (4, 300)).astype(float)
    axis = (np.full(4, 400.0), np.ones(4), np.full(4, 300))
    mean = np.mean([m.predict(counts, *axis) for m in model.members], axis=0)
    expected = model.probabilities(np.log(mean / (1 - mean)))
    np.testing.assert_allclose(model.predict(counts, *axis), expected, rtol=1e-9)
    found = coreloss.identify(counts[0], 400.0 + np.arange(300.0), model=bundle)
    np.testing.assert_allclose(list(found.probabilities.values()), expected[0], rtol=1e-6)
    asked = coreloss.identify(
        counts[0], EnergyAxis(400.0, 1.0, 300), model=bundle, axis_mode="auto"
    )
    assert asked.axis_estimate is not None
    with pytest.raises(ModelError, match="ensemble of 3"):
        model.logits(np.zeros((1, 1, 1536), np.float32))

    # a bundle and a run make an ensemble as well
    again = tmp_path / "shelf" / "again"
    sources = [bundle / "1-mlp", run / "3-cct"]
    export_all(sources, again, name="two", calibration_spectra=64)
    assert load_model(again).card["training"]["networks"] == ["mlp", "cct"]
    assert main(["export", *map(str, sources), str(again)]) == 2
    assert "--force" in capsys.readouterr().err
    monkeypatch.setattr("coreloss.identification.bundle._shipped", lambda: again.parent)
    assert main(["models"]) == 0
    assert "two 1   83 elements, ensemble of mlp, cct, trained on 128" in capsys.readouterr().out
    with pytest.raises(ModelError, match="give its members"):
        combine_bundles([bundle, again], tmp_path / "nested")
    with pytest.raises(FileExistsError, match="--force"):
        combine_bundles([bundle / "1-mlp"], again)
    assert not [p for p in (*tmp_path.iterdir(), *again.parent.iterdir()) if p.name[0] == "."]
    # a card that points out of its bundle is none
    card = json.loads((again / "card.json").read_text())
    (again / "card.json").write_text(json.dumps({**card, "members": ["../../bundle/1-mlp"]}))
    with pytest.raises(ModelError, match=r"card\.json cannot be read"):
        load_model(again)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("dropout = 0.1", "options of an ensemble's networks have tables of their own"),
        ("[network.unet]\nkernel = 4", "have tables of their own"),
        ("[ensemble]\nmember = 4", "a number from 1 to 3"),
        ("[ensemble]\nmembers = 1", "takes member"),
    ],
)
def test_wrong_ensembles_get_a_sentence(options: str, words: str, tmp_path: Path) -> None:
    recipe = tmp_path / "wrong.toml"
    recipe.write_text(RECIPE.format(name="2xMLP+CCT", options=options))
    with pytest.raises(ValueError, match=words):
        load_training_recipe(recipe)
    recipe.write_text(RECIPE.format(name="mlp", options="").replace('"counts"', '"plain"'))
    with pytest.raises(
        ValueError, match="no channels 'plain'; there are features, features and steps, counts"
    ):
        load_training_recipe(recipe)


def test_shipped_recipes_are_the_papers() -> None:
    for name in (*PUBLISHED, "ensemble"):
        recipe = load_training_recipe(f"annys2023-{name}")
        plan = recipe.schedule
        assert (plan.spectra, plan.batch_size, plan.learning_rate) == (1_120_000, 32, 1e-3)
        assert (recipe.channels, recipe.grid) == (PLAIN, ANNYS_GRID)
        assert (plan.optimiser, plan.schedule, plan.soft_f1) == ("adam", "plateau", 1.0)
        assert (plan.plateau_rise, plan.plateau_patience, plan.lowest) == (0.025, 3, 5e-6)
        assert plan.validate_every == 1000 * plan.batch_size
        # nothing that the paper has not
        assert (plan.ema, plan.gradient_clip, plan.label_smoothing) == (0.0, 0.0, 0.0)
        assert plan.ambiguous_weight == 1.0
        if name != "ensemble":
            with torch.device("meta"):
                build(name, n_channels_in=1, n_grid=3072, n_elements=80, **recipe.options)
    assert recipe.members == ("vit", "vit", "unet", "unet", "unet")
    assert recipe.member(2).options == {"attention_dropout": 0.0}
    assert recipe.member(5).options == {}
