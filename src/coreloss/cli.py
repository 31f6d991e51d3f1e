"""The command ``coreloss``: parse, call, print."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from coreloss import __version__
from coreloss.commands import CommandError, keep
from coreloss.commands import add_commands as add_model_commands
from coreloss.whole import json_text

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 if anything failed."""
    parser = _parser()
    words = list(sys.argv[1:] if argv is None else argv)
    if len(words) > 1 and words[0] == "edges" and words[1] in ("fit", "library"):
        # element symbols follow 'edges' otherwise
        words[:2] = [f"edges {words[1]}"]
    options = parser.parse_args(words)
    if options.run is None:
        parser.print_help()
        return 0
    for stream_name in ("stdout", "stderr"):
        if getattr(sys, stream_name) is None:  # closed by the caller
            setattr(sys, stream_name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # a terminal that lacks a character, or a file name of odd bytes, must not end the run
        if hasattr(stream, "reconfigure") and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    try:
        _check(options)
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
    except UnicodeDecodeError as error:  # of a recipe; spectra are read in any encoding
        name = getattr(options, "recipe", None) or getattr(options, "what", "a recipe")
        print(f"coreloss: {name}: is no text in UTF-8 ({error.reason})", file=sys.stderr)
        return 2
    except (CommandError, ValueError, OSError, ImportError, MemoryError) as error:
        print(f"coreloss: {_sentence(error)}", file=sys.stderr)
        return 2


def _check(options: argparse.Namespace) -> None:
    """Raise for numbers that no command can use."""
    for name, allowed, words in (
        ("threshold", lambda x: 0.0 < x < 1.0, "give a probability between 0 and 1"),
        ("threads", lambda x: x >= 0, "give a number of threads, 0 for all"),
        ("seed", lambda x: x >= 0, "give a whole number from 0 on"),
        ("max_minutes", lambda x: x >= 0, "give a time in minutes"),
        ("near", lambda x: 0.0 < x < float("inf"), "give an energy loss in eV"),
        ("within", lambda x: x >= 0.0, "give a distance in eV"),
    ):
        value = getattr(options, name, None)
        if value is not None and not allowed(value):
            raise CommandError(f"--{name.replace('_', '-')} {value}: {words}")


def _sentence(error: BaseException) -> str:
    from coreloss.io.errors import plain

    if isinstance(error, OSError) and error.strerror:
        place = "the output" if error.filename is None else error.filename
        return f"{plain(place, 400)}: {error.strerror.lower()}"
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; crop or bin the data"
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
    command.add_argument(
        "files", nargs="+", metavar="FILE", help="dm3, dm4, msa, ser, emd, hspy, csv, npy, …"
    )
    command.add_argument("--json", action="store_true", help="one JSON object a line and file")
    command.add_argument(
        "--plot",
        metavar="OUT.png",
        help="also draw a picture; of several files OUT-1.png, OUT-2.png, … in their order",
    )
    command.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="probability from which an element counts as found (the model's)",
    )
    command.add_argument("--model", metavar="NAME", help="model name or bundle directory (default)")
    command.add_argument(
        "--signal", metavar="S", help="title or number of the data set in files with several"
    )
    command.add_argument(
        "--threads", type=int, default=0, metavar="N", help="processor threads (default: all)"
    )
    command.add_argument(
        "--axis",
        default="auto",
        metavar="HOW",
        help="the energy axis: auto (default; estimate it, and correct it where it is off), "
        "as-recorded, or shift=EV (add so many eV)",
    )
    command.add_argument(
        "--explain", action="store_true", help="every edge found, and why others are rejected"
    )
    command.add_argument(
        "--no-evidence", action="store_true", help="the network alone, without the fit of edges"
    )
    command.add_argument("--force", action="store_true", help="overwrite the picture")
    command.set_defaults(run=_identify)

    from coreloss.maps.command import add_commands

    add_commands(commands)

    command = commands.add_parser(
        "edges",
        help="look edges up",
        epilog="'coreloss edges fit --help' and 'coreloss edges library --help' tell of libraries "
        "of edge shapes.",
    )
    command.add_argument("symbol", nargs="*", help="element symbols")
    command.add_argument("--near", type=float, metavar="EV", help="edges near an energy loss")
    command.add_argument(
        "--between", type=float, nargs=2, metavar=("A", "B"), help="edges from A to B eV"
    )
    command.add_argument("--within", type=float, default=10.0, metavar="EV", help="of --near (10)")
    command.set_defaults(run=_edges)

    command = commands.add_parser(
        "edges fit", help="fit an edge by Gaussians on a tail (needs coreloss[fit])"
    )
    command.add_argument("file", metavar="FILE")
    command.add_argument("--element", required=True, metavar="Mn")
    command.add_argument("--edge", required=True, metavar="L2,3")
    command.add_argument(
        "--window", type=float, nargs=2, required=True, metavar=("A", "B"), help="eV to fit"
    )
    command.add_argument(
        "--background", type=float, nargs=2, metavar=("A", "B"), help="eV before it (automatic)"
    )
    command.add_argument(
        "--shift", type=float, default=0.0, metavar="EV", help="add this to the record's axis"
    )
    command.add_argument("--criterion", choices=("bic", "aic"), default="bic")
    command.add_argument("--name", default="", help="of the shape (the file's name)")
    command.add_argument("--family", default="own", help="the kind of substance")
    command.add_argument("--source", default="", help="where it comes from (the file's name)")
    command.add_argument(
        "--signal", metavar="S", help="title or number of the data set in files with several"
    )
    command.add_argument("--out", metavar="LIBRARY.toml", help="put the shape into this library")
    command.add_argument("--plot", metavar="OUT.png", help="also draw the fit")
    command.add_argument("--force", action="store_true", help="replace picture and shape")
    command.set_defaults(run=_edges_fit)

    command = commands.add_parser("edges library", help="what edge libraries hold; join them")
    command.add_argument(
        "libraries", nargs="*", default=["shipped"], metavar="LIBRARY.toml", help="or 'shipped'"
    )
    command.add_argument("--out", metavar="JOINED.toml", help="write them as one")
    command.add_argument("--force", action="store_true", help="overwrite it")
    command.set_defaults(run=_edges_library)

    command = commands.add_parser("models", help="the models there are")
    command.set_defaults(run=_models)

    add_model_commands(commands)
    return parser


def _identify(options: argparse.Namespace) -> int:
    from coreloss.identification import identify_spectra, load_model
    from coreloss.identification.axis import parse_axis
    from coreloss.io import load
    from coreloss.io.errors import plain

    bundle = load_model(options.model)
    mode = parse_axis(options.axis)
    if options.explain and options.no_evidence:
        raise CommandError("--explain needs the evidence that --no-evidence leaves out; give one")
    pictures = _picture_paths(options)
    failed = False
    for file, picture in zip(options.files, pictures, strict=True):
        try:
            spectra = load(file, signal=_signal(options.signal)).summed()
            result = identify_spectra(
                spectra,
                model=bundle,
                threshold=options.threshold,
                threads=options.threads,
                axis_mode=mode,
                evidence=not options.no_evidence,
            )[0]
            if picture is not None:
                from coreloss.plot import identification

                identification(result, picture, title=Path(file).name)
        except (ValueError, OSError, MemoryError) as error:
            failed = True
            sentence = _sentence(error)
            if plain(Path(file), 400) not in sentence:
                sentence = f"{plain(file, 400)}: {sentence}"
            if options.json:
                print(json_text({"file": file, "error": sentence}), flush=True)
            else:
                print(f"coreloss: {sentence}", file=sys.stderr)
            continue
        if options.json:
            record = {"file": file, **result.to_dict(), "version": __version__}
            print(json_text(record), flush=True)
        else:
            axis = result.axis
            moved = result.axis_estimate is not None and result.axis_estimate.corrected
            print(
                f"{file}   {axis.start:.0f} to {axis.end:.0f} eV, {axis.dispersion:.3g} eV/channel"
                + (" on the corrected axis" if moved else "")
            )
            print(result.table())
            if options.explain and not result.abstained and (why := result.explain()):
                print(why)
            if result.axis_estimate is not None:
                print(f"  axis: {result.axis_estimate.sentence()}")
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
    if len(options.files) == 1:
        paths = [base]
    else:
        stem, kind = base.stem, base.suffix or ".png"
        paths = [base.with_name(f"{stem}-{i + 1}{kind}") for i in range(len(options.files))]
    for path in paths:
        keep(path, options.force, picture=True)
        _spare(path, options.files)
    return list(paths)


def _spare(path: str | Path | None, files: Sequence[str]) -> None:
    """Raise where a file to be written is one of those to be read; --force is not meant so."""
    for file in files:
        there = path is not None and os.path.exists(path) and os.path.exists(file)
        if there and os.path.samefile(path or "", file):
            raise CommandError(f"{path}: is to be read; give the output another name")


def _signal(text: str | None) -> str | int | None:
    """The title of a data set, or its number."""
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]+", text) else text


def _edges(options: argparse.Namespace) -> int:
    from coreloss.edges import Edge, edges_between, edges_near, edges_of, format_table

    if (options.near is not None) + (options.between is not None) + bool(options.symbol) > 1:
        raise CommandError("elements, --near and --between each ask for edges; give one of them")
    found: tuple[Edge, ...] = ()
    if options.near is not None:
        found = edges_near(options.near, options.within)
        if not found:
            raise CommandError(
                f"no edge within {options.within:g} eV of {options.near:g} eV; "
                + ("energies are in eV" if options.near < 5.0 else "try a larger --within")
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
        symbols = dict.fromkeys(s.title() for word in options.symbol for s in word.split(",") if s)
        found = tuple(edge for symbol in symbols for edge in edges_of(symbol))
    if not found:
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
        if bundle.members:
            networks = bundle.card.get("training", {}).get("networks", ())
            text += f", ensemble of {', '.join(networks)}"
        text += f", trained on {seen:,} simulated spectra"
        if score:
            text += f"; simulated F1 {score['f1']:.3f}, exact {score['exact_match']:.3f}"
        print(text)
    return 0


def _edges_fit(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from coreloss.edges import edges_of
    from coreloss.identification.spikes import without_spikes
    from coreloss.io import load
    from coreloss.simulate.gaussian.fit import fit_edge
    from coreloss.simulate.gaussian.shapes import read_shapes, write_shapes

    file = Path(options.file)
    name = options.name or file.stem
    element = edges_of(options.element)[0].symbol
    keep(options.plot, options.force, picture=True)
    keep(options.out, force=True)
    for path in (options.plot, options.out):
        _spare(path, [options.file])
    kept = []
    if options.out and Path(options.out).exists():
        shapes = read_shapes(options.out)
        same = (element, options.edge, name)
        kept = [s for s in shapes if (s.element, s.edge, s.name) != same]
        if len(kept) < len(shapes) and not options.force:
            raise CommandError(
                f"{options.out}: holds {' '.join(same[:2])} {name!r} already; give another "
                "--name, or --force to replace it"
            )
    try:
        record = load(file, signal=_signal(options.signal)).summed()
        axis = record.axis.corrected(options.shift)
        rows, bridged = without_spikes(record.counts[None], axis)
        notes = (*record.notes, *bridged.values())
        result = fit_edge(
            replace(record, counts=rows[0], axis=axis, notes=notes),
            element,
            options.edge,
            tuple(options.window),
            background=tuple(options.background) if options.background else None,
            name=name,
            family=options.family,
            source=options.source or file.name,
            criterion=options.criterion,
        )
    except ValueError as error:
        sentence = _sentence(error)
        raise CommandError(sentence if str(file) in sentence else f"{file}: {sentence}") from None
    # the picture first: one that fails leaves the library as it was
    if options.plot:
        from coreloss.plot_edges import edge_fit

        edge_fit(result, options.plot)
    if options.out:
        write_shapes([*kept, result.shape], options.out, force=True)
    print(result.table())
    if options.out:
        print(f"wrote {options.out}, {len(kept) + 1} shapes")
    return 0


def _edges_library(options: argparse.Namespace) -> int:
    from coreloss.simulate.gaussian.shapes import (
        format_library,
        read_shapes,
        shipped_shapes,
        write_shapes,
    )

    shapes = [
        shape
        for name in options.libraries
        for shape in (shipped_shapes() if name == "shipped" else read_shapes(name))
    ]
    if options.out:
        write_shapes(shapes, options.out, force=options.force)
    print(format_library(shapes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
