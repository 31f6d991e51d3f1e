"""The commands that make and judge models: evaluate, train, export, simulate, gos build."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coreloss.whole import json_text

if TYPE_CHECKING:
    from coreloss.evaluate import Report

__all__ = ["CommandError", "add_commands", "keep"]


class CommandError(Exception):
    """A sentence for the user; the command ends with exit code 2."""


def add_commands(commands: Any) -> None:
    """Add them to the parser's subcommands."""
    command = commands.add_parser("evaluate", help="score a model")
    command.add_argument(
        "what",
        help="real spectra, by their manifest.json or its folder; a simulation recipe (default, "
        "annys2023); or the folder of a data set",
    )
    command.add_argument("--model", metavar="NAME")
    command.add_argument("--threshold", type=float, metavar="P")
    command.add_argument("--corrected", action="store_true", help="apply the manifest's axis")
    command.add_argument(
        "--axis",
        default="as-recorded",
        metavar="HOW",
        help="as for identify (default: as-recorded)",
    )
    command.add_argument("--evidence", action="store_true", help="join network and fit of edges")
    command.add_argument(
        "--spectra", type=int, default=20_000, help="simulated, or of a data set (20,000)"
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--json", action="store_true")
    command.add_argument(
        "--elements", nargs="+", metavar="Fe", help="real sets of no other elements only"
    )
    command.add_argument(
        "--sensitivity",
        action="store_true",
        help="the faintest edges recognised: of Kong et al.'s table (kong2022), or every major one",
    )
    command.add_argument("--repeats", type=int, default=100, help="of each edge (100)")
    command.add_argument("--plot", metavar="OUT.png", help="picture of the sensitivity")
    command.add_argument("--out", metavar="REPORT.json", help="also write the report")
    command.add_argument(
        "--confusion",
        metavar="OUT.png",
        help="also draw what single-element spectra are taken for (a recipe or a data set)",
    )
    command.add_argument(
        "--occurrence", metavar="OUT.png", help="also draw how often each element occurs"
    )
    command.add_argument("--force", action="store_true", help="overwrite report and pictures")
    command.set_defaults(run=_evaluate)

    command = commands.add_parser("train", help="train a network (needs coreloss[train])")
    command.add_argument("recipe", help="a recipe.toml, or the name of a shipped one")
    command.add_argument("--out", required=True, metavar="DIR")
    command.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    command.add_argument(
        "--start-from",
        metavar="RUN",
        help="begin with the weights of another run, or of a model by name or folder",
    )
    command.add_argument("--max-minutes", type=float, metavar="M", help="stop after M minutes")
    command.add_argument("--threads", type=int, metavar="N", help="processor threads")
    command.add_argument("--device", default="cpu", help="cpu (default), cuda, …")
    command.set_defaults(run=_train)

    command = commands.add_parser(
        "export", help="make a model bundle of a training run, or one of several runs or bundles"
    )
    command.add_argument("run_dir", metavar="RUN", nargs="+")
    command.add_argument("bundle_dir", metavar="BUNDLE")
    command.add_argument("--name", default="default")
    command.add_argument("--model-version", default="1", metavar="V")
    command.add_argument(
        "--mean-weights",
        action="store_true",
        help="one network with the mean of the weights of runs that began with each other's",
    )
    command.add_argument("--force", action="store_true", help="replace an existing bundle")
    command.set_defaults(run=_export)

    command = commands.add_parser("simulate", help="write a data set (HDF5 files)")
    command.add_argument("recipe", help="default, annys2023 or a recipe.toml")
    command.add_argument("--out", required=True, metavar="DIR")
    command.add_argument("--resume", action="store_true", help="make the files that are missing")
    command.add_argument(
        "--per-element",
        type=int,
        nargs=4,
        metavar=("TRAIN", "VALIDATION", "TEST", "SINGLE"),
        help="spectra of each element in the four splits (7000 600 1500 100)",
    )
    command.add_argument("--workers", type=int, metavar="N", help="processes (default: all cores)")
    command.add_argument(
        "--scheduler", metavar="tcp://…", help="dask.distributed scheduler whose workers to use"
    )
    command.set_defaults(run=_simulate)
    command = commands.add_parser("gos", help="the table of generalised oscillator strengths")
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    command = actions.add_parser("build", help="compute it anew (needs coreloss[gos])")
    command.add_argument("--out", default="gos.npz", metavar="FILE", help="default gos.npz")
    command.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    command.add_argument(
        "--work", metavar="DIR", help="elements done, kept to go on from (default FILE.parts)"
    )
    command.add_argument("--force", action="store_true", help="overwrite the file")
    command.set_defaults(run=_gos_build)


def keep(path: str | Path | None, force: bool, *, picture: bool = False) -> None:
    """Raise where a file cannot be written or may not be overwritten, before work is done."""
    if path is None:
        return
    if picture:
        from coreloss.plot import picture_kind

        picture_kind(path)
    if not Path(path).parent.is_dir():
        raise CommandError(f"{Path(path).parent}: no such folder; make it first")
    if Path(path).is_dir():
        raise CommandError(f"{path}: is a folder; give the name of a file")
    if Path(path).exists() and not force:
        raise CommandError(f"{path}: exists already; give --force to overwrite it")
    if not os.access(Path(path).parent, os.W_OK):
        raise CommandError(f"{Path(path).parent}: may not be written to; give another folder")


def _folder(path: str) -> str:
    """An output folder; raises where a file has its name."""
    if Path(path).exists() and not Path(path).is_dir():
        raise CommandError(f"{path}: is a file; give the name of a folder")
    return path


def _sensitivity(options: argparse.Namespace) -> int:
    from coreloss.evaluate import evaluate_sensitivity
    from coreloss.simulate import load_recipe

    result = evaluate_sensitivity(
        load_recipe(options.what),
        model=options.model,
        threshold=options.threshold,
        repeats=options.repeats,
        seed=options.seed,
        name=options.what,
    )
    if options.out:
        result.save(options.out)
    if options.plot:
        result.plot(options.plot)
    print(json_text(result.to_dict()) if options.json else result.table())
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from coreloss.evaluate import evaluate_files, evaluate_folder, evaluate_simulated
    from coreloss.identification.axis import parse_axis
    from coreloss.simulate import load_recipe
    from coreloss.simulate.dataset import SPLITS

    folder = Path(options.what)
    # data sets have a manifest of their own beside their files
    spectra = any((folder / place).is_dir() for place, _ in SPLITS.values())
    if (folder / "manifest.json").is_file() and not spectra:
        options.what = str(folder / "manifest.json")
    keep(options.out, options.force)
    if options.out and Path(options.out).resolve() == Path(options.what).resolve():
        raise CommandError(f"{options.out}: is the manifest itself; give the report a name")
    for path in (options.plot, options.confusion, options.occurrence):
        keep(path, options.force, picture=True)
    manifest = options.what.endswith(".json")
    for given, allowed, words in (
        (options.plot, options.sensitivity, "--plot draws the sensitivity; give --sensitivity too"),
        (
            options.confusion,
            not manifest and not options.sensitivity,
            "--confusion takes a simulation recipe or a data set, without --sensitivity",
        ),
        (options.occurrence, not options.sensitivity, "--occurrence goes without --sensitivity"),
        (
            options.axis != "as-recorded"
            or options.evidence
            or options.corrected
            or options.elements,
            manifest and not options.sensitivity,
            "--axis, --evidence, --corrected and --elements are for a manifest of records; "
            "leave them out",
        ),
    ):
        if given and not allowed:
            raise CommandError(words)
    if options.confusion and folder.is_dir():
        from coreloss.simulate.stored import split_files

        split_files(folder, "single")  # missing files are told before work is done
    if options.sensitivity:
        return _sensitivity(options)
    if manifest:
        report = evaluate_folder(
            options.what,
            model=options.model,
            corrected=options.corrected,
            threshold=options.threshold,
            elements=options.elements,
            axis_mode=parse_axis(options.axis),
            evidence=options.evidence,
        )
    elif Path(options.what).is_dir():
        report = evaluate_files(
            options.what, model=options.model, threshold=options.threshold, spectra=options.spectra
        )
    else:
        report = evaluate_simulated(
            load_recipe(options.what),
            options.spectra,
            options.seed,
            model=options.model,
            threshold=options.threshold,
        )
    _data_set_pictures(options, report)
    if options.out:
        report.save(options.out)
    print(json_text(report.to_dict()) if options.json else report.table())
    return 0


def _data_set_pictures(options: argparse.Namespace, report: Report) -> None:
    """The confusion matrix and the elements of what is evaluated, where asked for."""
    from coreloss.evaluate import stored
    from coreloss.plot_simulation import confusion_matrix, occurrence
    from coreloss.simulate import load_recipe
    from coreloss.simulate.dataset import SPLITS

    folder = Path(options.what).is_dir()
    if options.confusion:
        if folder:
            matrix = stored.confusion_of_files(options.what, model=options.model)
        else:
            matrix = stored.confusion_of_recipe(
                load_recipe(options.what), 100, options.seed, model=options.model
            )
        confusion_matrix(matrix, options.confusion, title=f"{options.what}, one element each")
    if options.occurrence:
        counts: dict[str, dict[str, int]]
        if report.sets:  # of records
            truth = Counter(symbol for entry in report.sets for symbol in entry["truth"])
            counts = {options.what: dict(truth)}
        elif folder:
            # some have the test split alone
            splits = ["training"] * (Path(options.what) / SPLITS["training"][0]).is_dir() + ["test"]
            counts = {split: stored.occurrence_of_files(options.what, split) for split in splits}
        else:
            counts = {
                options.what: stored.occurrence_of_recipe(
                    load_recipe(options.what), options.spectra, options.seed
                )
            }
        occurrence(counts, options.occurrence)


def _train(options: argparse.Namespace) -> int:
    _need_torch()
    from coreloss.training import allocation, train

    allocation.keep_freed_memory()  # here, not in train: it holds for the whole process
    outcome = train(
        options.recipe,
        _folder(options.out),
        resume=options.resume,
        start_from=options.start_from,
        max_minutes=options.max_minutes,
        threads=options.threads,
        device=options.device,
    )
    if os.environ.get("RANK", "0") != "0":
        return 0  # one of several processes under torchrun; the first one speaks
    if outcome["finished"]:
        print(f"finished: {outcome['spectra']:,} spectra in {options.out}")
    else:
        seen = outcome["spectra"]
        where = f"at {seen:,} spectra" if seen else "in the search for a learning rate"
        print(f"stopped {where}; --resume goes on")
    return 0


def _export(options: argparse.Namespace) -> int:
    _need_torch()
    bundle = Path(options.bundle_dir).resolve()
    for run in map(Path, options.run_dir):
        # replacing it with --force would delete the run before its checkpoints, or with them
        if bundle == run.resolve() or bundle in run.resolve().parents:
            raise CommandError(f"{options.bundle_dir}: holds {run} itself; give the bundle a name")
    from coreloss.training import export_all

    path = export_all(
        options.run_dir,
        options.bundle_dir,
        name=options.name,
        version=options.model_version,
        force=options.force,
        mean_weights=options.mean_weights,
    )
    print(f"wrote {path}")
    return 0


def _simulate(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from coreloss.simulate.dataset import SPLITS, load_dataset_plan, write_dataset

    recipe, plan = load_dataset_plan(options.recipe)
    if options.per_element:
        plan = replace(plan, **dict(zip(SPLITS, options.per_element, strict=True)))
    if options.workers is not None and options.workers < 1:
        raise CommandError(f"--workers is {options.workers}; at least one is needed")
    if options.workers is not None and options.scheduler is not None:
        raise CommandError("--workers is for this machine, a cluster has its own; leave it out")
    outcome = write_dataset(
        recipe,
        plan,
        _folder(options.out),
        resume=options.resume,
        workers=options.workers,
        scheduler=options.scheduler,
    )
    print(
        f"made {outcome['files']} files with {outcome['spectra']:,} spectra; {options.out} holds "
        f"{outcome['total_spectra']:,} in {outcome['bytes'] / 1e9:.2f} GB"
    )
    return 0


def _gos_build(options: argparse.Namespace) -> int:
    import importlib.util

    out = Path(options.out)
    if options.jobs < 1:
        raise CommandError(f"--jobs {options.jobs}: at least one process is needed")
    keep(out, options.force)
    if importlib.util.find_spec("numba") is None:
        raise CommandError("this command needs numba; install it with: pip install 'coreloss[gos]'")
    from coreloss.atom.gos_shards import build_shards, write_table

    work = Path(options.work) if options.work else out.with_name(f"{out.name}.parts")
    terminal = sys.stderr.isatty()

    def progress(done: int, total: int, seconds: float) -> None:
        if terminal:
            left = f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
            sys.stderr.write(f"\r{done} of {total} elements, {left} left      ")
            sys.stderr.flush()

    build_shards(work, jobs=options.jobs, progress=progress)
    if terminal:
        sys.stderr.write("\n")
    number = write_table(work, out)
    print(f"wrote {out}: {number} subshells, {out.stat().st_size / 1e6:.1f} MB")
    return 0


def _need_torch() -> None:
    import importlib.util

    for package in ("torch", "safetensors"):
        if importlib.util.find_spec(package) is None:
            raise CommandError(
                f"this command needs {package}; install it with: pip install 'coreloss[train]'"
            )
