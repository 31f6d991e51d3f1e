"""Recipes, loss, the loop, checkpoints, export."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_training import tiny_recipe, weights  # noqa: E402

from coreloss.cli import main  # noqa: E402
from coreloss.identification import load_model  # noqa: E402
from coreloss.networks import build  # noqa: E402
from coreloss.training import checkpoint, export, export_bundle, train  # noqa: E402
from coreloss.training.calibration import platt  # noqa: E402
from coreloss.training.loop import build_network  # noqa: E402
from coreloss.training.loss import ambiguity_weights, multilabel_loss, soft_f1  # noqa: E402
from coreloss.training.metrics import (  # noqa: E402
    balanced_threshold,
    exact_match_rate,
    exact_threshold,
    weighted_scores,
)
from coreloss.training.muon import Muon  # noqa: E402
from coreloss.training.recipe import load_training_recipe  # noqa: E402

TINY = tiny_recipe("default", 512, 64, 128)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def test_killed_and_resumed_training_ends_as_an_uninterrupted_one(
    recipe: Path, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    code = "import sys; from coreloss.training import train; train(*sys.argv[1:], threads=1)"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, recipe, whole], check=True, env=environment)
    process = subprocess.Popen([sys.executable, "-c", code, recipe, broken], env=environment)
    deadline = time.monotonic() + 120
    while len(list(broken.glob("checkpoint-*[0-9]"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    reached = json.loads((checkpoint.latest(broken) / "state.json").read_text())["spectra"]
    assert 0 < reached < 512
    resume = code.replace("threads=1", "threads=1, resume=True")
    subprocess.run([sys.executable, "-c", resume, recipe, broken], check=True, env=environment)
    ours, theirs = weights(whole), weights(broken)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key
    assert (whole / "log.jsonl").read_text() == (broken / "log.jsonl").read_text()


def test_muon_resumes_exactly(recipe: Path, tmp_path: Path) -> None:
    """Its momenta travel with the checkpoints."""
    recipe.write_text(TINY + 'optimiser = "muon"\n')
    train(recipe, tmp_path / "whole", threads=1, quiet=True)
    train(recipe, tmp_path / "broken", threads=1, quiet=True, max_minutes=0.0)
    assert checkpoint.latest(tmp_path / "broken") != checkpoint.latest(tmp_path / "whole")
    train(recipe, tmp_path / "broken", threads=1, quiet=True, resume=True)
    ours, theirs = weights(tmp_path / "broken"), weights(tmp_path / "whole")
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key


def test_muon_steps_have_equal_singular_values() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(2, 6, (1, 3)), torch.nn.Conv2d(6, 8, (1, 3)), torch.nn.Linear(4, 3)
    )
    optimiser = Muon(network, lr=0.1)
    before = network[1].weight.detach().clone()
    x = torch.randn(5, 2, 1, 8)
    network(x).square().sum().backward()
    optimiser.step()
    step = (network[1].weight.detach() - before).flatten(1)
    values = torch.linalg.svdvals(step) / (0.1 * 0.2 * 18**0.5)
    assert float(values.min()) > 0.3, values
    assert float(values.max()) < 1.3, values
    # the first convolution and the last layer take AdamW's first step: the rate itself
    assert len(optimiser.state[network[1].weight]) == 1
    assert set(optimiser.state[network[0].weight]) == {"step", "exp_avg", "exp_avg_sq"}


def test_what_a_kill_leaves_behind_is_cleared_away(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    outcome = train(recipe, run, threads=1, quiet=True, max_minutes=0.0)
    assert outcome == {"spectra": 64, "finished": False}
    # a validation after the checkpoint, a line cut short, half a checkpoint
    (run / "log.jsonl").write_text('{"spectra": 128, "f1": 2.0}\n{"spectra": 25')
    (run / ".checkpoint-000000000128.1").mkdir()
    train(recipe, run, threads=1, quiet=True, resume=True)
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["spectra"] for line in lines] == [128, 256, 384, 512]
    assert all(line["f1"] <= 1.0 for line in lines)
    names = sorted(p.name for p in run.iterdir())
    kept = ["checkpoint-000000000448", "checkpoint-000000000512"]
    assert names == [*kept, "log.jsonl", "recipe.toml"]
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    assert train(recipe, run, threads=1, quiet=True, resume=True)["finished"]
    assert before == {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}


def test_a_run_starts_from_the_weights_of_another(recipe: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    train(recipe, first, quiet=True)
    changed = tmp_path / "changed.toml"
    # one chunk at a vanishing rate, and another hidden layer, whose weights are new
    text = TINY.replace("spectra = 512", "spectra = 64\nlearning_rate = 1e-9\nweight_decay = 0.0")
    changed.write_text(text.replace("head = [4, 16]", "head = [4, 24]"))
    train(changed, second, start_from=first, quiet=True)
    before, after = (
        load_file(checkpoint.latest(folder) / "mean.safetensors") for folder in (first, second)
    )
    trained = [k for k in before if "running" not in k and "tracked" not in k]
    same = [k for k in trained if before[k].shape == after[k].shape]
    assert all(np.allclose(before[k], after[k], atol=1e-5) for k in same)
    assert len(same) < len(trained)
    state = json.loads((checkpoint.latest(second) / "state.json").read_text())
    assert state["spectra"] == 64
    assert state["start"]["spectra"] == 512
    assert state["start"]["kept_new"] == 3
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        train(changed, tmp_path / "third", start_from=tmp_path / "none", quiet=True)


def saved_network(folder: Path, name: str = "compact", **options: object) -> tuple:
    """An untrained network, and a checkpoint of it."""
    torch.manual_seed(2)
    tiny = {"widths": (4, 6, 8, 10), "head": (4, 8), **options} if name == "compact" else options
    network = build(name, n_channels_in=3, n_grid=256, n_elements=5, **tiny)
    optimiser = torch.optim.Adam(network.parameters())
    return network, checkpoint.save(folder, 100, network, network.state_dict(), optimiser, {})


@pytest.mark.parametrize("widths", [(6, 8, 10, 12), (4, 8, 10, 12), (4, 6, 8, 12)])
def test_a_wider_network_takes_all_weights(widths: tuple[int, ...], tmp_path: Path) -> None:
    narrow, path = saved_network(tmp_path / "narrow")
    wide, _ = saved_network(tmp_path / "wide", widths=widths)
    mean = {k: v.clone() for k, v in wide.state_dict().items()}
    assert checkpoint.take_weights(path, wide, mean)["kept_new"] == 0
    x = torch.randn(4, 3, 256)
    with torch.no_grad():
        moved = (wide.eval()(x) - narrow.eval()(x)).abs().max()
        assert float(moved) < 0.3 * float(narrow(x).std())
    assert all(torch.equal(value, mean[key]) for key, value in wide.state_dict().items())


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("cnn", {}, "holds weights of another network"),
        ("compact", {"widths": (4, 6, 8, 12)}, "cannot be widened"),
        ("compact", {"widths": (3, 6, 8, 10), "blocks": (1, 1, 1, 1)}, "has other layers"),
    ],
)
def test_weights_that_do_not_fit_are_told(
    name: str, options: dict, said: str, tmp_path: Path
) -> None:
    network, _ = saved_network(tmp_path / "own")
    before = {k: v.clone() for k, v in network.state_dict().items()}
    _, path = saved_network(tmp_path / "other", name, **options)
    with pytest.raises(ValueError, match=said) as caught:
        checkpoint.take_weights(path, network, dict(before))
    assert str(path) in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_weights_that_cannot_be_exported_are_told(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe, run, threads=1, quiet=True, max_minutes=0.0)
    newest = checkpoint.latest(run)
    (run / "recipe.toml").write_text(TINY.replace("head = [4, 16]", "head = [4, 24]"))
    with pytest.raises(ValueError, match="holds weights of another network"):
        export_bundle(run, tmp_path / "bundle")
    (newest / "mean.safetensors").write_bytes(b"cut short")
    for use in (
        lambda: export_bundle(run, tmp_path / "bundle"),
        lambda: train(recipe, tmp_path / "next", start_from=run, quiet=True),
    ):
        with pytest.raises(ValueError, match=r"mean\.safetensors: is damaged"):
            use()
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_may_have_the_mean_of_the_weights_of_runs(recipe: Path, tmp_path: Path) -> None:
    first, second, bundle = tmp_path / "first", tmp_path / "second", tmp_path / "bundle"
    train(recipe, first, threads=1, quiet=True, max_minutes=0.0)
    train(recipe, second, threads=1, quiet=True, max_minutes=0.0, start_from=first)
    one, other = weights(first, "mean"), weights(second, "mean")
    assert any(not np.allclose(one[k], other[k]) for k in one)
    arguments = ["export", str(first), str(second), str(bundle), "--mean-weights"]
    assert main(arguments) == 0
    model = load_model(bundle)
    seen = [checkpoint.latest(r) for r in (first, second)]
    spectra = [json.loads((c / "state.json").read_text())["spectra"] for c in seen]
    assert model.card["training"]["mean_of_weights_at"] == [spectra[0], sum(spectra)]
    network = build_network(load_training_recipe(recipe))
    network.load_state_dict(
        {k.removeprefix("mean "): (one[k].double() + other[k]).div(2).to(one[k]) for k in one}
    )
    inputs = np.random.default_rng(4).normal(size=(3, len(model.channels), model.grid.size))
    inputs = inputs.astype(np.float32)
    with torch.no_grad():
        expected = network.eval()(torch.as_tensor(inputs)).numpy()
    np.testing.assert_allclose(model.logits(inputs), expected, atol=0.02)
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        export_bundle(second, tmp_path / "none", with_weights_of=[tmp_path / "missing"])


def test_plateau_halves_the_rate_and_stops_for_good(recipe: Path, tmp_path: Path) -> None:
    schedule = (
        'schedule = "plateau"\nplateau_rise = 1.0\nplateau_patience = 1\n'
        "learning_rate = 1e-3\nlowest = 4e-4\n"
    )
    recipe.write_text(TINY + schedule)
    run = tmp_path / "run"
    outcome = train(recipe, run, threads=1, quiet=True)
    # F1 never rises by 1: halved at 128 and 256 spectra, and 2.5e-4 is below the lowest
    assert (outcome["spectra"], outcome["finished"]) == (256, True)
    assert json.loads((checkpoint.latest(run) / "state.json").read_text())["factor"] == 0.25
    assert train(recipe, run, threads=1, quiet=True, resume=True)["spectra"] == 256


def test_a_loss_that_diverges_ends_the_run_with_a_sentence(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe, run, threads=1, quiet=True, max_minutes=0.0)
    weights_file = checkpoint.latest(run) / "network.safetensors"
    whole = load_file(weights_file)
    spoilt = {k: v * float("nan") if v.is_floating_point() else v for k, v in whole.items()}
    save_file(spoilt, weights_file)
    with pytest.raises(ValueError, match=r"loss is nan after 128 spectra; lower learning_rate"):
        train(recipe, run, threads=1, quiet=True, resume=True)
    assert checkpoint.latest(run) == weights_file.parent


def test_resuming_with_another_simulator_or_network_is_noticed(
    recipe: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"

    def simulated_by_another() -> None:
        state = checkpoint.latest(run) / "state.json"
        state.write_text(json.dumps({**json.loads(state.read_text()), "simulator": "another"}))

    train(recipe, run, threads=1, quiet=True, max_minutes=0.0)
    simulated_by_another()
    with pytest.warns(UserWarning, match="the simulator gives other spectra now"):
        train(recipe, run, threads=1, quiet=True, resume=True)
    simulated_by_another()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a finished run sees no more spectra
        train(recipe, run, threads=1, quiet=True, resume=True)
    newest = checkpoint.latest(run)
    save_file({"stem": torch.zeros(1)}, newest / "network.safetensors")
    with pytest.raises(ValueError, match="weights of another network"):
        train(recipe, run, threads=1, quiet=True, resume=True)


def test_training_lowers_the_loss(recipe: Path, tmp_path: Path) -> None:
    text = TINY.replace("spectra = 512", "spectra = 4096").replace("chunk = 64", "chunk = 512")
    recipe.write_text(text.replace("validate_every = 128", "validate_every = 512"))
    outcome = train(recipe, tmp_path / "run", threads=1, quiet=True)
    assert outcome["finished"]
    log = (tmp_path / "run" / "log.jsonl").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert lines[-1]["spectra"] == 4096
    # from what guessing costs; 128 steps of a tiny network get about half of the way
    assert lines[-1]["loss"] < 0.6 * lines[0]["loss"]
    assert {"f1", "exact_match", "threshold"} <= lines[-1].keys()
    assert not list((tmp_path / "run").glob(".checkpoint*"))


def test_a_run_is_neither_overwritten_nor_mixed(recipe: Path, tmp_path: Path) -> None:
    train(recipe, tmp_path / "run", threads=1, quiet=True, max_minutes=0.0)
    with pytest.raises(FileExistsError, match="--resume"):
        train(recipe, tmp_path / "run", threads=1, quiet=True)
    recipe.write_text(TINY.replace("warm_up = 64", "warm_up = 65"))
    with pytest.raises(ValueError, match="another recipe"):
        train(recipe, tmp_path / "run", threads=1, quiet=True, resume=True)


def test_exported_bundle_identifies(recipe: Path, tmp_path: Path) -> None:
    import coreloss

    train(recipe, tmp_path / "run", threads=1, quiet=True)
    bundle = export_bundle(
        tmp_path / "run",
        tmp_path / "bundle",
        name="tiny",
        calibration_spectra=256,
        card_extra={"note": "a toy"},
    )
    card = json.loads((bundle / "card.json").read_text())
    assert card["note"] == "a toy"
    assert card["storage"]["largest_probability_difference"] <= 0.005
    assert card["training"]["simulation"]["snr_present"] == 6.0
    assert card["training"]["spectra_seen"] == 512
    assert card["training"]["recipe"] == TINY
    energy = np.arange(400.0, 700.0)
    result = coreloss.identify(1e5 * (energy / 400) ** -3, energy, model=bundle)
    assert len(result.probabilities) == 83
    assert all(0 <= p <= 1 for p in result.probabilities.values())
    with pytest.raises(FileExistsError, match="--force"):
        export_bundle(tmp_path / "run", tmp_path / "bundle", calibration_spectra=256)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        export_bundle(tmp_path / "nothing", tmp_path / "other")
    # nothing but a bundle is replaced
    for name, there in (("diary.txt", "diary.txt"), ("run/card.json", "run")):
        mine = tmp_path / "models" / name
        mine.parent.mkdir(parents=True)
        mine.write_text("{}")
        with pytest.raises(FileExistsError, match=f"no model alone .{there}"):
            export_bundle(tmp_path / "run", tmp_path / "models", force=True)
        mine.unlink()
    for files, there in (
        (["model.onnx"], "model.onnx without card.json"),
        (["card.json", "a/card.json", "a/thesis.txt"], "thesis.txt"),
    ):
        mine = [tmp_path / there.split()[-1] / name for name in files]
        for place in mine:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("{}")
        with pytest.raises(FileExistsError, match=f"no model alone .{there}"):
            export_bundle(tmp_path / "run", mine[0].parent, force=True)
        assert all(place.is_file() for place in mine)
    # an export that fails leaves the bundle there was, and nothing else
    with pytest.raises(ValueError, match="card_extra holds name"):
        export_bundle(
            tmp_path / "run", bundle, calibration_spectra=64, card_extra={"name": 1}, force=True
        )
    assert json.loads((bundle / "card.json").read_text()) == card
    assert sorted(p.name for p in bundle.iterdir()) == ["card.json", "model.onnx"]
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("compact", {"widths": (8, 8, 8, 8), "head": (4, 16)}),
        ("unet", {"widths": (4, 8, 8), "kernel": 4, "head": (32, 16)}),
    ],
)
def test_onnx_gives_the_logits_of_torch(
    name: str, options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    torch.manual_seed(3)
    network = build(name, n_channels_in=5, n_grid=320, n_elements=83, **options)
    inputs = torch.randn(300, 5, 320)
    network(inputs)  # so that batch norm has statistics to fold
    network.eval()
    with torch.no_grad():
        own = network(inputs).numpy()
    files = {}
    for half in (False, True):
        path = tmp_path / f"{half}.onnx"
        storage = export._write_checked(network, path, inputs.numpy(), half=half)
        assert storage["weights"] == ("float16" if half else "float32")
        assert "BatchNormalization" not in {n.op_type for n in onnx.load(str(path)).graph.node}
        np.testing.assert_allclose(export._logits(path, inputs.numpy()), own, atol=0.011)
        files[half] = path.stat().st_size
    assert files[True] < 0.7 * files[False]
    # where half precision would change too much, single precision stays
    monkeypatch.setattr(export, "_STORAGE", -1.0)
    storage = export._write_checked(network, tmp_path / "wide.onnx", inputs.numpy(), half=True)
    assert storage == {"weights": "float32", "largest_probability_difference": 0.0}
    assert not (tmp_path / "half.onnx").exists()
    monkeypatch.setattr(export, "_ARITHMETIC", -1.0)
    monkeypatch.setattr(export, "_ROUNDING", -1.0)
    with pytest.raises(ValueError, match="cannot be exported"):
        export._write_checked(network, tmp_path / "no.onnx", inputs.numpy(), half=False)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch_size", "batchsize", "did you mean 'batch_size'"),
        ("[training]", "[trainning]", r"unknown table .* did you mean \[training\]"),
        ("[network]", "[weather]", "there are simulation, mixture, input"),
        ("[simulation]", "input = 3\n[simulation]", "must be a table"),
        ("[simulation]", "[input]\nstep = 1.0\n[simulation]", "did you mean 'step_ev'"),
        ("[simulation]", '[input]\nsize = "big"\n[simulation]', "takes a whole number"),
        ("[simulation]", "[input]\nstep_ev = -1.0\n[simulation]", "must be positive"),
        ("[simulation]", '[input]\ngrid = "fine"\n[simulation]', "default, annys2023"),
        ("ema = 0.9", "ema = 1.0", "below 1"),
        ("ema = 0.9", 'schedule = "linear"', "cosine or plateau"),
        ("ema = 0.9", "ambiguous_snr = [4.0]", "two numbers"),
        ("validate_every = 128", "validate_every = 0", "must be positive"),
        ('base = "default"', 'base = "nonesuch"', "annys2023"),
        ("chunk = 64", "chunk = 100", "multiple"),
        ("spectra = 512", 'spectra = "many"', "takes a int"),
        ("[simulation]", "[simulation", "not valid TOML"),
        ("spectra = 512", "spectra = 10", "less than one chunk"),
    ],
)
def test_wrong_recipes_get_a_sentence(recipe: Path, old: str, new: str, words: str) -> None:
    recipe.write_text(TINY.replace(old, new))
    with pytest.raises(ValueError, match=words) as caught:
        load_training_recipe(recipe)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{recipe}: ")


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("width = [8, 8, 8, 8]", "no option 'width'; did you mean 'widths'"),
        ("depth = 3", "no option 'depth'; there are widths, blocks, kernels"),
        ("n_grid = 64", "n_grid follows from"),
    ],
)
def test_wrong_network_options_get_a_sentence(
    recipe: Path, tmp_path: Path, new: str, words: str
) -> None:
    recipe.write_text(TINY.replace("widths = [8, 8, 8, 8]", new))
    with pytest.raises(ValueError, match=words) as caught:
        train(recipe, tmp_path / "run", quiet=True)
    assert str(caught.value).startswith(f"{recipe}: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["default", "tiny", "annys2023-unet"])
def test_shipped_recipes_load(name: str) -> None:
    assert load_training_recipe(name).schedule.spectra >= 1024


def test_weighted_scores_are_scikit_learns() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    present = rng.uniform(size=(300, 20)) < 0.1
    found = present ^ (rng.uniform(size=present.shape) < 0.05)
    theirs = sklearn.precision_recall_fscore_support(
        present, found, average="weighted", zero_division=0
    )[:3]
    np.testing.assert_allclose(weighted_scores(present, found), theirs)
    assert exact_match_rate(present, found) == sklearn.accuracy_score(present, found)


def test_balanced_threshold_balances() -> None:
    rng = np.random.default_rng(1)
    present = rng.uniform(size=(4000, 5)) < 0.2
    probability = 1 / (1 + np.exp(-(rng.normal(size=present.shape) + 3 * present - 2)))
    threshold = balanced_threshold(present, probability)
    precision, recall, _ = weighted_scores(present, probability >= threshold)
    assert abs(precision - recall) < 0.02


def test_exact_threshold_is_the_best_of_its_range() -> None:
    rng = np.random.default_rng(3)
    present = rng.uniform(size=(4000, 5)) < 0.2
    probability = 1 / (1 + np.exp(-(rng.normal(size=present.shape) + 3 * present - 2)))
    best = exact_threshold(present, probability)
    assert 0.2 <= best <= 0.8
    rate = exact_match_rate(present, probability >= best)
    for other in (0.2, 0.35, 0.5, 0.65, 0.8):
        assert rate >= exact_match_rate(present, probability >= other)
    higher = exact_threshold(present, probability, tolerance=0.01)
    assert higher > best
    assert exact_match_rate(present, probability >= higher) >= rate - 0.01


def test_platt_recovers_a_known_distortion() -> None:
    rng = np.random.default_rng(2)
    true = rng.normal(-1.0, 2.0, (20_000, 3))
    present = rng.uniform(size=true.shape) < 1 / (1 + np.exp(-true))
    slope, intercept = platt((true - 0.7) / 0.5, present)
    assert slope == pytest.approx(0.5, rel=0.05)
    assert intercept == pytest.approx(0.7, abs=0.06)
    with pytest.raises(ValueError, match="with and without"):
        platt(true, np.ones_like(present))


def test_loss_terms() -> None:
    present = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert soft_f1(present, present) == pytest.approx(1.0, abs=1e-6)
    assert soft_f1(1 - present, present) == pytest.approx(0.0, abs=1e-6)
    weight = ambiguity_weights(torch.tensor([[20.0, 5.0], [0.0, 9.0]]), 4.0, 14.0, 0.3)
    assert torch.equal(weight, torch.tensor([[1.0, 0.3], [1.0, 0.3]]))
    logits = torch.zeros(2, 2)
    plain = multilabel_loss(logits, present, torch.ones(2, 2), 0.0)
    assert float(plain) == pytest.approx(2 * np.log(2), rel=1e-5)
    # the paper's loss, times the number of elements: mean cross-entropy + 1 - macro soft F1
    both = multilabel_loss(logits, present, torch.ones(2, 2), 1.0)
    assert float(both) == pytest.approx(2 * (np.log(2) + 1 - 0.5), rel=1e-5)
    sure = 40.0 * (2 * present - 1)
    smooth = multilabel_loss(sure, present, torch.ones(2, 2), 0.0, smoothing=0.1)
    assert float(smooth) == pytest.approx(2 * 0.05 * 40.0, rel=1e-5)
    half = multilabel_loss(sure.bfloat16(), present, torch.ones(2, 2), 1.0)
    assert half.dtype == torch.float32
