"""Strength of 2p→3d white lines in recorded spectra of known substances.

Run: python benchmarks/white_lines.py [--real FOLDER]   (needs scipy)

A background of power laws and our continuum, convolved with the low loss where one was
recorded, are fitted to what lies outside 10 eV before to 25 eV after the lines. What the record
has more between the two is the lines, in their single-scattering part; it is given as the
width of continuum, 30 to 60 eV above L2, that holds as much.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from results import ROOT, write
from scipy.optimize import nnls

from coreloss.atom.cross_section import dsigma_de
from coreloss.edges import edges_of
from coreloss.fit.background import background_columns
from coreloss.fit.response import Response
from coreloss.io import load

#: of the round robin's spectra; the ratio of line to continuum hardly depends on it
BEAM = {"beam_energy_kev": 300.0, "alpha_mrad": 0.2, "beta_mrad": 4.12}
#: record, element, substance, fitted range [eV], other edges there
RECORDS = (
    ("em_CaFeO_C3_r1", "Ca", "silicate", (318, 500), ()),
    ("em_TiO2_B3_r1", "Ti", "TiO2", (400, 528), ()),
    ("em_TiO2_B3_r2", "Ti", "TiO2", (400, 528), ()),
    ("em_STO_D3_r2", "Ti", "SrTiO3", (400, 528), ()),
    ("em_STO_example", "Ti", "SrTiO3", (400, 528), ()),
    ("ptl_STO", "Ti", "SrTiO3", (400, 528), ()),
    ("hs_MnO_example", "Mn", "MnO", (575, 765), (("O", "K"),)),
    ("hj_NMC_TM", "Mn", "oxide of a cathode", (590, 765), (("O", "K"),)),
    ("em_CaFeO_C3_r1", "Fe", "silicate", (600, 815), (("O", "K"),)),
)


def width_ev(
    folder: Path,
    row: dict,
    symbol: str,
    span: tuple[float, float],
    others: tuple[tuple[str, str], ...],
) -> tuple[float, bool]:
    """Line strength of one record [eV], and whether plural scattering was taken out."""
    spectra = load(folder / row["file"]).summed()
    shift, stretch = row.get("axis_correction_a_b") or (0.0, 1.0)
    energies = shift + stretch * spectra.axis.energies
    inside = (energies > span[0]) & (energies < span[1])
    energies, counts = energies[inside], np.asarray(spectra.counts, dtype=float).ravel()[inside]
    step = energies[1] - energies[0]
    onsets = {e.subshell: e.onset_ev for e in edges_of(symbol)}
    response = None
    if row.get("low_loss_file"):
        low = load(folder / row["low_loss_file"]).summed()
        response = Response.of_low_loss(low.counts, low.axis, low.axis.dispersion)

    def edge(name: str, shells: tuple[str, ...]) -> np.ndarray:
        # on beyond the record, from where the kernel's gain side brings intensity back
        more = np.append(energies, energies[-1] + step * np.arange(1, 400))
        column = sum(dsigma_de(name, shell, more, **BEAM) for shell in shells)
        if response is None:
            return column[: energies.size]
        return response.applied(column[None], energies.size)[0, 0]

    columns = np.column_stack(
        [
            background_columns(energies, 6),
            1e27 * edge(symbol, ("L2", "L3")),
            *(1e27 * edge(name, (shell,)) for name, shell in others),
        ]
    )
    lines = (energies > onsets["L3"] - 10.0) & (energies < onsets["L2"] + 25.0)
    weight = 1.0 / np.sqrt(np.maximum(counts, 1.0))
    scale = np.linalg.norm(columns * weight[:, None], axis=0)
    design = columns * weight[:, None] / scale
    amounts = nnls(design[~lines], (counts * weight)[~lines])[0] / scale
    rest = counts - columns @ amounts
    here = (energies > onsets["L3"] - 6.0) & (energies < onsets["L2"] + 14.0)
    height = 1e27 * amounts[6] * sum(
        dsigma_de(symbol, shell, onsets["L2"] + np.linspace(30, 60, 31), **BEAM).mean()
        for shell in ("L2", "L3")
    )  # fmt: skip
    # of the lines' intensity the part without a further loss, below 4 eV, is seen in place
    share = 1.0
    if response is not None:
        kernel = response.kernel[0]
        share = kernel[: response.zero + round(4.0 / step)].sum() / kernel.sum()
    return float(rest[here].sum() * step / share / height), response is not None


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=ROOT / ".." / "shared" / "real")
    folder = parser.parse_args().real
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise SystemExit(f"{manifest} is missing; name the folder of real spectra with --real")
    known = {row["id"]: row for row in json.loads(manifest.read_text(encoding="utf-8"))}
    rows = []
    for name, symbol, substance, span, others in RECORDS:
        value, deconvolved = width_ev(folder, known[name], symbol, span, others)
        rows.append(
            f"| {name} | {symbol} in {substance} | {value:.0f} "
            f"| {'taken out' if deconvolved else 'in it'} |"
        )
    body = "| record | | strength [eV] | plural scattering |\n|---|---|---|---|\n" + "\n".join(rows)
    write("White lines of recorded spectra", "python benchmarks/white_lines.py", body)


if __name__ == "__main__":
    main()
