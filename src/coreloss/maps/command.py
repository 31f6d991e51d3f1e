"""The commands ``coreloss map`` and ``coreloss quantify``."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coreloss.whole import json_text

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """Add both to the parser's subcommands."""
    command = commands.add_parser(
        "map", help="element maps of a spectrum image, line scan or stack"
    )
    _shared(command, "-maps")
    command.add_argument(
        "--components", type=int, default=0, metavar="N",
        help="first rebuild spectra from N principal components (needs coreloss[maps])",
    )  # fmt: skip
    command.add_argument(
        "--clusters", type=int, default=8, metavar="N",
        help="groups of like spectra whose sums are identified too (8; 0: none)",
    )  # fmt: skip
    command.add_argument(
        "--low-loss", metavar="FILE",
        help="of the same sweep, one spectrum or one a pixel: its zero-loss peak tells how the "
        "axis is off and drifts; 'none': no low loss (else that of the file)",
    )  # fmt: skip
    command.set_defaults(run=_map)

    command = commands.add_parser(
        "quantify", help="atomic percent with errors, of a spectrum or of every pixel"
    )
    _shared(command, "-quantified")
    command.add_argument(
        "--elements", nargs="+", metavar="EL", help="these, in place of those found"
    )
    command.add_argument("--beam-energy", type=float, metavar="KEV")
    command.add_argument("--alpha", type=float, metavar="MRAD", help="convergence semi-angle")
    command.add_argument("--beta", type=float, metavar="MRAD", help="collection semi-angle")
    command.add_argument(
        "--low-loss",
        metavar="FILE",
        help="one spectrum or one a pixel; 'none': no low loss (else that of the file)",
    )
    command.add_argument(
        "--simultaneous", action="store_true",
        help="the low loss is of the same sweep: its zero-loss peak tells how the axis is off",
    )  # fmt: skip
    command.add_argument(
        "--exposure-ratio", type=float, metavar="R",
        help="exposure of the core loss over that of the low loss; gives atoms/nm²",
    )  # fmt: skip
    command.add_argument(
        "--beam-intensity", type=float, metavar="COUNTS",
        help="zero-loss intensity in the core loss's counts; gives atoms/nm² without a low loss",
    )  # fmt: skip
    command.add_argument(
        "--thickness", type=float, metavar="T",
        help="t/λ without a low loss, 0: no plural scattering (estimated)",
    )  # fmt: skip
    command.add_argument(
        "--near-edge", choices=("exclude", "free", "none"),
        help="structure near edges (free with a low loss, else exclude)",
    )  # fmt: skip
    command.add_argument(
        "--atomic-shapes", action="store_true",
        help="delayed M4,5 edges as the free atom has them, not as measured",
    )  # fmt: skip
    command.add_argument(
        "--window", type=float, nargs=2, metavar=("EV", "EV"), help="fit only this"
    )
    command.add_argument(
        "--shift",
        type=float,
        default=0.0,
        metavar="EV",
        help="true axis = shift + stretch · file's",
    )
    command.add_argument("--stretch", type=float, default=1.0, metavar="F")
    command.add_argument("--gain", type=float, metavar="G", help="counts per electron (estimated)")
    command.set_defaults(run=_quantify)


def _shared(command: argparse.ArgumentParser, suffix: str) -> None:
    command.add_argument("file", metavar="FILE")
    command.add_argument("--out", metavar="DIR", help=f"results (the file's name with '{suffix}')")
    command.add_argument("--kind", choices=("hspy", "zspy"), default="hspy", help="of map files")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument("--signal", help="title or number of the data set in files with several")
    command.add_argument("--model", metavar="NAME", help="model name or bundle directory")
    command.add_argument("--threshold", type=float, metavar="P", help="probability to call present")
    command.add_argument(
        "--least-fraction", type=float, default=0.01, metavar="F",
        help="share of the spectra an element must be found in (0.01)",
    )  # fmt: skip
    command.add_argument(
        "--bin", type=int, default=1, metavar="N",
        help="sum N × N pixels, of a stack in every frame, or N of a line",
    )  # fmt: skip
    command.add_argument(
        "--axis", default="auto", metavar="HOW",
        help="'auto' judges and corrects the energy axis, 'as-recorded', or 'shift=EV'",
    )  # fmt: skip
    command.add_argument("--threads", type=int, default=0, help="processor threads (default: all)")
    command.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="work on a dask cluster, as tcp://host:8786 (needs coreloss[distributed])",
    )  # fmt: skip
    command.add_argument("--force", action="store_true", help="replace results that are there")
    command.set_defaults(suffix=suffix)


def _common(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What both commands pass on."""
    from coreloss.identification.axis import parse_axis

    return {
        "signal": _signal(options.signal),
        "model": options.model,
        "threshold": options.threshold,
        "least_fraction": options.least_fraction,
        "bin": options.bin,
        "low_loss": False if options.low_loss == "none" else options.low_loss,
        "axis_mode": parse_axis(options.axis),
        "threads": options.threads,
        "scheduler": options.scheduler,
        "work_folder": folder,
    }


def _map(options: argparse.Namespace) -> int:
    from coreloss.maps.elements import element_maps

    def work(folder: Path) -> Any:
        return element_maps(
            options.file,
            components=options.components,
            clusters=options.clusters,
            **_common(options, folder),
        )

    return _done(options, work)


def _quantify(options: argparse.Namespace) -> int:
    from coreloss.maps.quantification import quantify

    def work(folder: Path) -> Any:
        return quantify(
            options.file,
            [s for word in options.elements for s in word.split(",") if s]
            if options.elements
            else None,
            beam_energy_kev=options.beam_energy,
            alpha_mrad=options.alpha,
            beta_mrad=options.beta,
            simultaneous=options.simultaneous,
            exposure_ratio=options.exposure_ratio,
            beam_intensity=options.beam_intensity,
            thickness=options.thickness,
            near_edge=options.near_edge,
            window_ev=tuple(options.window) if options.window else None,
            measured_shapes=not options.atomic_shapes,
            shift_ev=options.shift,
            stretch=options.stretch,
            gain=options.gain,
            **_common(options, folder),
        )

    return _done(options, work)


def _signal(text: str | None) -> str | int | None:
    return int(text) if text is not None and text.lstrip("-").isdigit() else text


def _named_file(file: str, work: Callable[[Path], Any], folder: Path) -> Any:
    """The work done; what is wrong with the spectra is said of their file."""
    from coreloss.identification import SpectrumError

    try:
        return work(folder)
    except SpectrumError as error:
        raise SpectrumError(str(error) if file in str(error) else f"{file}: {error}") from None


def _done(options: argparse.Namespace, work: Callable[[Path], Any]) -> int:
    """Do the work, keep unfinished parts beside the results' folder, write, and report."""
    from coreloss.maps.blocks import check_unfinished, half_done
    from coreloss.maps.output import check_folder

    out = Path(options.out or Path(Path(options.file).name).stem + options.suffix)
    check_folder(out, force=options.force, kind=options.kind)
    for file in (options.file, options.low_loss):
        if file and Path(file).exists() and Path(file).resolve().is_relative_to(out.resolve()):
            raise ValueError(f"{file}: lies in the folder of the results; give another --out")
    unfinished = out.with_name(out.name + ".partial")
    check_unfinished(unfinished)
    if options.force:
        shutil.rmtree(unfinished, ignore_errors=True)
    begun = unfinished.exists()  # by an earlier run, whose parts are not this one's to remove
    try:
        result = _named_file(options.file, work, unfinished)
    except BaseException as error:
        # an interrupted run leaves what it has done, to go on from; one that failed leaves nothing
        failed = isinstance(error, ValueError) and not half_done(unfinished)
        if not begun and (failed or not any(unfinished.rglob("done-*"))):
            shutil.rmtree(unfinished, ignore_errors=True)
        raise
    try:
        result.save(out, force=options.force, kind=options.kind)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    if options.json:
        print(json_text({"file": options.file, "out": str(out), **result.to_dict()}))
        return 0
    axis = result.axis
    shape = " × ".join(str(n) for n in result.shape)
    spectra = "1 spectrum" if result.shape == (1,) else f"{shape} spectra"
    print(f"{options.file}   {spectra}, {axis.start:.0f} to {axis.end:.0f} eV")
    print(result.table())
    for note in result.notes:
        print(f"  note: {note}")
    print(f"  written: {out}")
    return 0
