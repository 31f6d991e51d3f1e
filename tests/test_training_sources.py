"""Training on files, on a teacher's answers, with a grid of rates, in several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from tiny_training import tiny_recipe, weights  # noqa: E402

from coreloss.cli import main  # noqa: E402
from coreloss.identification import load_model  # noqa: E402
from coreloss.simulate import load_recipe  # noqa: E402
from coreloss.simulate.dataset import DatasetPlan, write_dataset  # noqa: E402
from coreloss.training import export_bundle, parallel, train  # noqa: E402
from coreloss.training.distill import Teacher  # noqa: E402
from coreloss.training.files import FileSource  # noqa: E402
from coreloss.training.recipe import load_training_recipe  # noqa: E402
from coreloss.training.source import open_source  # noqa: E402

TINY = tiny_recipe("annys2023", 128, 32, 64, dropout=0.0) + "soft_f1 = 1.0\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sets") / "set"
    plan = DatasetPlan(training=40, validation=16, test=0, single=0, elements=("O", "Fe", "Ba"))
    write_dataset(load_recipe("annys2023"), plan, target, workers=1, quiet=True)
    return target


def test_an_epoch_of_files_holds_every_spectrum_once_in_an_order_of_its_own(folder: Path) -> None:
    source = FileSource(folder, 24, 1)
    epochs = [
        [row.numpy().tobytes() for i in range(5 * e, 5 * e + 5) for row in source.chunk(i).counts]
        for e in range(2)
    ]
    assert len(set(epochs[0])) == len(epochs[0]) == 120
    assert set(epochs[0]) == set(epochs[1])
    assert epochs[0] != epochs[1]
    again = FileSource(folder, 24, 1).chunk(3)
    assert torch.equal(again.counts, source.chunk(3).counts)
    held = {row.numpy().tobytes() for row in source.validation(24).counts}
    others = {row.numpy().tobytes() for row in source.calibration(24).counts}
    assert (len(held), len(others)) == (24, 24)
    assert not held & others
    assert not (held | others) & set(epochs[0])
    with pytest.raises(ValueError, match="smaller chunk"):
        FileSource(folder, 256, 1)


def test_training_on_files(folder: Path, recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(f'{TINY}\n[data]\nfolder = "{folder}"\n')
    outcome = train(recipe, tmp_path / "run", threads=1, quiet=True, max_minutes=0.0)
    assert not outcome["finished"]
    outcome = train(recipe, tmp_path / "run", threads=1, quiet=True, resume=True)
    assert outcome["finished"]
    train(recipe, tmp_path / "whole", threads=1, quiet=True)
    ours, whole = weights(tmp_path / "run"), weights(tmp_path / "whole")
    assert all(torch.equal(value, whole[key]) for key, value in ours.items())
    bundle = export_bundle(tmp_path / "run", tmp_path / "bundle", calibration_spectra=24)
    assert load_model(bundle).card["scores"]["simulated"]["spectra"] == 12
    recipe.write_text(f'{TINY}\n[data]\nfolder = "{tmp_path}"\n')
    with pytest.raises(FileNotFoundError, match=r"TRAIN_\*\.hdf5"):
        train(recipe, tmp_path / "none", threads=1, quiet=True)


def test_an_ensemble_trained_on_files_is_calibrated_on_them(
    folder: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coreloss.training import ensemble

    def never(*_: object) -> None:
        raise AssertionError("the files were to be taken, not the simulator")

    head, training = TINY.split("[network]")[0], TINY.split("[training]")[1]
    table = '[network]\nname = "2xMLP"\n[network.mlp]\nwidths = [8]\n[input]\nchannels = "counts"\n'
    recipe.write_text(f'{head}{table}[training]{training}\n[data]\nfolder = "{folder}"\n')
    assert train(recipe, tmp_path / "run", threads=1, quiet=True)["finished"]
    monkeypatch.setattr(ensemble, "simulate", never)
    bundle = export_bundle(tmp_path / "run", tmp_path / "bundle", calibration_spectra=24)
    model = load_model(bundle)
    assert len(model.members) == 2
    given = FileSource(folder, 24, 1).calibration(24)
    said = model.predict(given.counts.numpy(), given.offset, given.dispersion, given.size)
    # O, Fe and Ba occur and nothing else does; the mean of all is right after calibration
    assert said[:12].sum() == pytest.approx(given.present[:12].sum(), rel=0.05)


def test_files_and_simulator_give_the_same_input(folder: Path, recipe: Path) -> None:
    recipe.write_text(f'{TINY}\n[data]\nfolder = "{folder}"\n[input]\nchannels = "counts"\n')
    plan = load_training_recipe(recipe)
    records = open_source(plan, "cpu").chunk(0)
    inputs = records.inputs(replace(plan, channels=("counts over maximum",)))
    assert inputs.shape == (32, 1, plan.grid.size)
    assert float(inputs.max()) == pytest.approx(1.0)
    assert records.snr is not None


def test_a_student_learns_from_its_teacher(recipe: Path, step_bundle: Path, tmp_path: Path) -> None:
    recipe.write_text(f'{TINY}\n[distillation]\nteacher = "{step_bundle}"\nweight = 0.25\n')
    plan = load_training_recipe(recipe)
    records = open_source(plan, "cpu").validation(6)
    said = load_model(step_bundle).predict(
        records.counts.numpy(), records.offset, records.dispersion, records.size
    )
    target = Teacher(plan).target(records).numpy()
    np.testing.assert_allclose(target, 0.25 * said + 0.75 * records.present, atol=1e-6)
    train(recipe, tmp_path / "taught", threads=1, quiet=True)
    recipe.write_text(TINY)
    train(recipe, tmp_path / "alone", threads=1, quiet=True)
    taught, alone = weights(tmp_path / "taught"), weights(tmp_path / "alone")
    assert any(not torch.equal(value, alone[key]) for key, value in taught.items())
    for table, words in (
        ('teacher = "nobody"', "teacher: no model 'nobody'"),
        ("weight = 0.0", "above 0 and at most 1"),
        ("teachers = 1", "did you mean 'teacher'"),
    ):
        recipe.write_text(f"{TINY}\n[distillation]\n{table}\n")
        with pytest.raises(ValueError, match=words):
            train(recipe, tmp_path / "none", threads=1, quiet=True)


def test_the_best_rate_of_a_grid_is_taken(recipe: Path, tmp_path: Path) -> None:
    grid = "learning_rate_grid = [1e-7, 3e-3]\ngrid_spectra = 64\n"
    recipe.write_text(TINY + grid)
    run = tmp_path / "run"
    while not (run / "learning_rates.json").is_file():  # a chunk of a trial at a time
        before = sorted(run.glob("rate-*/checkpoint-*"))
        outcome = train(recipe, run, threads=1, quiet=True, resume=True, max_minutes=0.0)
        assert sorted(run.glob("rate-*/checkpoint-*")) != before
        assert not outcome["finished"]
    found = json.loads((run / "learning_rates.json").read_text())
    assert set(found["scores"]) == {"1e-07", "0.003"}
    best = max(found["scores"].values(), key=lambda s: (s["f1"], -s["loss"]))
    assert found["scores"][f"{found['chosen']:g}"] == best
    with pytest.raises(FileExistsError, match="give --resume"):
        train(recipe, run, threads=1, quiet=True)
    assert train(recipe, run, threads=1, quiet=True, resume=True)["finished"]
    fixed = TINY.replace("[training]", f"[training]\nlearning_rate = {found['chosen']}")
    recipe.write_text(fixed)
    train(recipe, tmp_path / "fixed", threads=1, quiet=True)
    ours, theirs = weights(run), weights(tmp_path / "fixed")
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    recipe.write_text(TINY + "learning_rate_grid = [0.0]\n")
    with pytest.raises(ValueError, match="positive numbers"):
        train(recipe, tmp_path / "none", threads=1, quiet=True)


def test_a_rate_that_diverges_only_loses_the_search(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = "learning_rate_grid = [3e-3, 1e30]\ngrid_spectra = 64\n"
    recipe.write_text(TINY + grid)
    command = ["train", str(recipe), "--out", str(tmp_path / "run"), "--max-minutes"]
    assert main([*command, "0"]) == 0
    assert "stopped in the search for a learning rate" in capsys.readouterr().out
    assert not (tmp_path / "run" / "learning_rates.json").exists()
    assert main([*command, "9"]) == 2
    assert "holds a training run; give --resume" in capsys.readouterr().err
    recipe.write_text(TINY + grid + "seed = 2\n")
    assert main([*command, "9", "--resume"]) == 2
    assert "another recipe" in capsys.readouterr().err
    recipe.write_text(TINY + grid)
    assert main([*command, "9", "--resume"]) == 0
    found = json.loads((tmp_path / "run" / "learning_rates.json").read_text())
    assert found["scores"]["1e+30"] is None
    assert found["chosen"] == 3e-3
    recipe.write_text(TINY + grid.replace("3e-3, ", ""))
    with pytest.raises(ValueError, match="every rate"):
        train(recipe, tmp_path / "none", threads=1, quiet=True)


def in_two_processes(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What a Python program says that torchrun starts twice."""
    # the machine itself, whatever its name resolves to
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    launch = "-m torch.distributed.run --standalone --local-addr 127.0.0.1 --nproc-per-node 2"
    outcome = subprocess.run(
        [sys.executable, *launch.split(), *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": loopback},
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome


def test_two_processes_give_the_result_of_one(recipe: Path, tmp_path: Path) -> None:
    windows = TINY.replace("annys2023", "default")  # short records, which share rows
    begin = windows.replace("spectra = 128", "spectra = 32")  # one step: the size of a change
    for name, text in (("one", windows), ("begin", begin)):
        recipe.write_text(text)
        train(recipe, tmp_path / name, threads=1, quiet=True)
    recipe.write_text(windows)
    outcome = in_two_processes("-m", "coreloss.cli", "train", recipe, "--out", tmp_path / "two")
    assert "Warning" not in outcome.stderr
    one, two, first = (weights(tmp_path / name) for name in ("one", "two", "begin"))
    assert one.keys() == two.keys()
    moved = max(float((one[k].float() - first[k].float()).abs().max()) for k in one)
    worst = max(float((one[k].float() - two[k].float()).abs().max()) for k in one)
    assert worst < 0.02 * moved
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("one", "two")]
    assert len(logs[0]) == len(logs[1]) == 2
    for ours, theirs in zip(*logs, strict=True):
        assert json.loads(ours)["loss"] == pytest.approx(json.loads(theirs)["loss"], rel=1e-3)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_no_thread_of_the_group_outlives_it(tmp_path: Path) -> None:
    # one that lets go of a tensor while the interpreter ends aborts the process
    program = tmp_path / "program.py"
    program.write_text("""
from pathlib import Path
import torch
from coreloss.training import parallel

def threads():
    names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    return sum("gloo" in name for name in names)

ranks, _ = parallel.start("cpu")
weight = torch.nn.Parameter(torch.ones(3))
weight.grad = torch.ones(3)
torch.optim.AdamW([weight]).step()
assert ranks.agreed(ranks.rank) == 0
during = threads()
ranks.end()
print(f"{during} then {threads()}\\n", end="", flush=True)
""")
    said = in_two_processes(program).stdout.split("\n")
    assert [line.split(" then ")[1] for line in said if line] == ["0", "0"]
    assert all(int(line.split(" then ")[0]) > 0 for line in said if line)


def test_a_process_without_a_gpu_of_its_own_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="give --nproc-per-node 1"):
        parallel.start("cuda")


def test_a_batch_must_be_shared_evenly() -> None:
    parallel.Ranks(0, 2).check(32)
    with pytest.raises(ValueError, match="multiple of the 3 processes"):
        parallel.Ranks(0, 3).check(32)
