"""The command ``coreloss``: parse, call, print."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coreloss import __version__

__all__ = ["main"]


class CommandError(Exception):
    """A sentence for the user; the command ends with exit code 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 if anything failed."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.run is None:
        parser.print_help()
        return 0
    for stream in (sys.stdout, sys.stderr):
        # a terminal that lacks a character, or a file name of odd bytes, must not end the run
        if hasattr(stream, "reconfigure") and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    try:
        code = int(options.run(options))
        sys.stdout.flush()  # here, where a reader that went away is expected
        return code
    except BrokenPipeError:
        # the reader of our output went away, as 'head' does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("coreloss: stopped", file=sys.stderr)
        return 130
    except (CommandError, ValueError, OSError, ImportError) as error:
        print(f"coreloss: {_sentence(error)}", file=sys.stderr)
        return 2


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    return " ".join(str(error).split())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coreloss", description="Which elements are in a core-loss EELS spectrum."
    )
    parser.add_argument("--version", action="version", version=f"coreloss {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    command = commands.add_parser(
        "identify", help="the elements in the spectra of files (an image counts as its sum)"
    )
    command.add_argument("files", nargs="+", metavar="FILE")
    command.add_argument("--json", action="store_true", help="one JSON object a line and file")
    command.add_argument("--plot", metavar="OUT.png", help="also draw a picture")
    command.add_argument("--threshold", type=float, metavar="P", help="probability to call present")
    command.add_argument("--model", metavar="NAME", help="model name or bundle directory")
    command.add_argument("--signal", help="title or number of the data set in files with several")
    command.add_argument("--threads", type=int, default=0, help="processor threads (default: all)")
    command.add_argument("--force", action="store_true", help="overwrite the picture")
    command.set_defaults(run=_identify)

    command = commands.add_parser("edges", help="look edges up")
    command.add_argument("symbol", nargs="*", help="element symbols")
    command.add_argument("--near", type=float, metavar="EV", help="edges near an energy loss")
    command.add_argument(
        "--between", type=float, nargs=2, metavar=("A", "B"), help="edges from A to B eV"
    )
    command.add_argument("--within", type=float, default=10.0, metavar="EV", help="default 10")
    command.set_defaults(run=_edges)

    command = commands.add_parser("models", help="the models there are")
    command.set_defaults(run=_models)

    command = commands.add_parser("evaluate", help="score a model")
    command.add_argument(
        "what", help="a manifest.json of real spectra, or a simulation recipe (default, annys2023)"
    )
    command.add_argument("--model", metavar="NAME")
    command.add_argument("--threshold", type=float, metavar="P")
    command.add_argument("--corrected", action="store_true", help="apply the manifest's axis")
    command.add_argument("--spectra", type=int, default=20_000, help="simulated ones (20,000)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--json", action="store_true")
    command.add_argument("--out", metavar="REPORT.json", help="also write the report")
    command.add_argument("--force", action="store_true", help="overwrite the report")
    command.set_defaults(run=_evaluate)

    command = commands.add_parser("train", help="train a network (needs coreloss[train])")
    command.add_argument("recipe", help="a recipe.toml, or the name of a shipped one")
    command.add_argument("--out", required=True, metavar="DIR")
    command.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    command.add_argument("--max-minutes", type=float, metavar="M", help="stop after M minutes")
    command.add_argument("--threads", type=int)
    command.add_argument("--device", default="cpu", help="cpu (default), cuda, …")
    command.set_defaults(run=_train)

    command = commands.add_parser("export", help="make a model bundle of a training run")
    command.add_argument("run_dir", metavar="RUN")
    command.add_argument("bundle_dir", metavar="BUNDLE")
    command.add_argument("--name", default="default")
    command.add_argument("--model-version", default="1", metavar="V")
    command.add_argument("--force", action="store_true", help="replace an existing bundle")
    command.set_defaults(run=_export)
    return parser


def _identify(options: argparse.Namespace) -> int:
    from coreloss.identification import identify_spectra, load_model
    from coreloss.io import load

    bundle = load_model(options.model)
    pictures = _picture_paths(options)
    signal: Any = options.signal
    if signal is not None and signal.lstrip("-").isdigit():
        signal = int(signal)
    failed = False
    for file, picture in zip(options.files, pictures, strict=True):
        try:
            spectra = load(file, signal=signal).summed()
            result = identify_spectra(
                spectra, model=bundle, threshold=options.threshold, threads=options.threads
            )[0]
            if picture is not None:
                from coreloss.plot import identification

                identification(result, picture, title=Path(file).name)
        except (ValueError, OSError) as error:
            failed = True
            sentence = _sentence(error)
            if file not in sentence:
                sentence = f"{file}: {sentence}"
            if options.json:
                print(json.dumps({"file": file, "error": sentence}, ensure_ascii=False), flush=True)
            else:
                print(f"coreloss: {sentence}", file=sys.stderr)
            continue
        if options.json:
            record = {"file": file, **result.to_dict(), "version": __version__}
            print(json.dumps(record, ensure_ascii=False), flush=True)
        else:
            axis = result.axis
            print(
                f"{file}   {axis.start:.0f} to {axis.end:.0f} eV, {axis.dispersion:.3g} eV/channel"
            )
            print(result.table())
            for note in result.notes:
                print(f"  note: {note}")
            if picture is not None:
                print(f"  picture: {picture}")
    return 2 if failed else 0


def _picture_paths(options: argparse.Namespace) -> list[Path | None]:
    """A picture for each file: the name given, or, for several files, that name numbered."""
    if options.plot is None:
        return [None] * len(options.files)
    base = Path(options.plot)
    if not base.parent.is_dir():
        raise CommandError(f"{base.parent}: no such folder for the picture; make it first")
    if len(options.files) == 1:
        paths = [base]
    else:
        stem, kind = base.stem, base.suffix or ".png"
        paths = [base.with_name(f"{stem}-{i + 1}{kind}") for i in range(len(options.files))]
    for path in paths:
        if path.exists() and not options.force:
            raise CommandError(f"{path}: exists already; give --force to overwrite it")
    return list(paths)


def _edges(options: argparse.Namespace) -> int:
    from coreloss.edges import edges_between, edges_near, edges_of, format_table

    if options.near is not None:
        found = edges_near(options.near, options.within)
        if not found:
            raise CommandError(
                f"no edge within {options.within:g} eV of {options.near:g} eV; "
                "try a larger --within"
            )
    elif options.between is not None:
        start, end = options.between
        if not start < end:
            raise CommandError(f"--between {start:g} {end:g}: give the lower energy first")
        found = edges_between(start, end)
        if not found:
            raise CommandError(
                f"no edge between {start:g} and {end:g} eV; the table covers 30 to 3300"
            )
    elif options.symbol:
        found = tuple(edge for symbol in options.symbol for edge in edges_of(symbol))
    else:
        raise CommandError(
            "name elements ('coreloss edges Fe O') or an energy ('--near 532', '--between 500 600')"
        )
    print(format_table(found))
    return 0


def _models(options: argparse.Namespace) -> int:
    from coreloss.identification import list_models

    for bundle in list_models():
        seen = bundle.card.get("training", {}).get("spectra_seen", 0)
        score = bundle.card.get("scores", {}).get("simulated", {})
        text = f"{bundle.name} {bundle.version}   {len(bundle.elements)} elements"
        text += f", trained on {seen:,} simulated spectra"
        if score:
            text += f"; simulated F1 {score['f1']:.3f}, exact {score['exact_match']:.3f}"
        print(text)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from coreloss.evaluate import evaluate_folder, evaluate_simulated
    from coreloss.simulate import load_recipe

    if options.out and Path(options.out).exists() and not options.force:
        raise CommandError(f"{options.out}: exists already; give --force to overwrite it")
    if options.what.endswith(".json"):
        report = evaluate_folder(
            options.what,
            model=options.model,
            corrected=options.corrected,
            threshold=options.threshold,
        )
    else:
        report = evaluate_simulated(
            load_recipe(options.what),
            options.spectra,
            options.seed,
            model=options.model,
            threshold=options.threshold,
        )
    if options.out:
        report.save(options.out)
    print(json.dumps(report.to_dict(), ensure_ascii=False) if options.json else report.table())
    return 0


def _train(options: argparse.Namespace) -> int:
    _need_torch()
    from coreloss.training import train

    outcome = train(
        options.recipe,
        options.out,
        resume=options.resume,
        max_minutes=options.max_minutes,
        threads=options.threads,
        device=options.device,
    )
    if outcome["finished"]:
        print(f"finished: {outcome['spectra']:,} spectra in {options.out}")
    else:
        print(f"stopped at {outcome['spectra']:,} spectra; --resume goes on")
    return 0


def _export(options: argparse.Namespace) -> int:
    _need_torch()
    from coreloss.training import export_bundle

    path = export_bundle(
        options.run_dir,
        options.bundle_dir,
        name=options.name,
        version=options.model_version,
        force=options.force,
    )
    print(f"wrote {path}")
    return 0


def _need_torch() -> None:
    import importlib.util

    for package in ("torch", "safetensors"):
        if importlib.util.find_spec(package) is None:
            raise CommandError(
                f"this command needs {package}; install it with: pip install 'coreloss[train]'"
            )


if __name__ == "__main__":
    sys.exit(main())
