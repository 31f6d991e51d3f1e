"""Files that must load: right data set, axis, shape, metadata and notes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from dm3_file import dm3_image, write_dm3

import coreloss
from coreloss.io import ReadError, from_signal, load

REAL = Path(
    os.environ.get("CORELOSS_REAL", Path(__file__).resolve().parents[1] / ".." / "shared" / "real")
)
MANIFEST = REAL / "manifest.json"
ROWS = json.loads(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.is_file() else []

ENERGIES = 400.0 + 0.5 * np.arange(200)
COUNTS = np.random.default_rng(7).poisson(1000 * (ENERGIES / 400) ** -3).astype(float)


def rows(energies=ENERGIES, counts=COUNTS, separator="\t", comma=False, digits=6) -> str:
    lines = (
        separator.join((f"{e:.{digits}f}", f"{c:.3f}"))
        for e, c in zip(energies, counts, strict=True)
    )
    text = "\n".join(lines) + "\n"
    return text.replace(".", ",") if comma else text


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def assert_same(spectra, offset=400.0, dispersion=0.5, counts=COUNTS) -> None:
    assert spectra.axis.size == counts.shape[-1]
    assert spectra.axis.offset == pytest.approx(offset, abs=1e-3)
    assert spectra.axis.dispersion == pytest.approx(dispersion, rel=1e-4)
    np.testing.assert_allclose(spectra.counts, counts, rtol=1e-6)


def noted(spectra, words: str) -> bool:
    return any(words in note for note in spectra.notes)


def write_msa(path: Path, counts=COUNTS, **keywords: str) -> Path:
    keys = {
        "FORMAT": "EMSA/MAS Spectral Data File",
        "VERSION": "1.0",
        "TITLE": "oxide",
        "NPOINTS": str(len(counts)),
        "NCOLUMNS": "1",
        "XUNITS": "eV",
        "DATATYPE": "Y",
        "XPERCHAN": "0.5",
        "OFFSET": "400.0",
        "SIGNALTYPE": "ELS",
    } | keywords
    lines = [f"#{key:<12}: {value}" for key, value in keys.items() if value]
    lines += ["#SPECTRUM    : data follow", *(f"{c:.6f}" for c in counts), "#ENDOFDATA   :", ""]
    return write(path, "\n".join(lines))


# --- text -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a.dat", "a.xy", "a.tsv", "a", "a.spectrum", "A.TXT"])
def test_columns_of_text_load_under_any_name(tmp_path, name):
    spectra = load(write(tmp_path / name, rows()))
    assert_same(spectra)
    assert noted(spectra, "eV assumed")


@pytest.mark.parametrize(
    ("separator", "comma"),
    [
        (",", False),
        (", ", False),
        (";", False),
        (";", True),
        ("\t", True),
        ("  ", True),
        (" ", False),
    ],
)
def test_separators_and_decimal_commas(tmp_path, separator, comma):
    assert_same(load(write(tmp_path / "a.csv", rows(separator=separator, comma=comma))))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path, encoding):
    header = "# Größe: Energieverlust\nenergy (eV)\tcounts\n"
    assert_same(load(write(tmp_path / "a.txt", header + rows(), encoding)))


def test_header_names_choose_the_columns_and_say_so(tmp_path):
    lines = ["Measured 2024-05-01 with a GIF", "index;error;Energy loss (eV);background;Sum;Map"]
    lines += [f"{i};1;{e};5;{c};7" for i, (e, c) in enumerate(zip(ENERGIES, COUNTS, strict=True))]
    path = write(tmp_path / "a.csv", "\n".join(lines))
    spectra = load(path)
    assert_same(spectra)
    assert noted(spectra, "6 columns; column 3 was taken as energy and column 5 (Sum) as counts")
    assert spectra.metadata["signal"] == "Sum"
    assert not noted(spectra, "assumed")
    with pytest.raises(ReadError, match="every value is 5"):
        load(path, signal="background")
    with pytest.raises(ReadError, match="no column of counts 'Zn'"):
        load(path, signal="Zn")


def test_a_column_is_chosen_by_number_or_name(tmp_path):
    text = "eV, first, second\n" + "".join(
        f"{e},{c},{2 * c}\n" for e, c in zip(ENERGIES, COUNTS, strict=True)
    )
    path = write(tmp_path / "a.csv", text)
    assert_same(load(path))
    assert_same(load(path, signal=1), counts=2 * COUNTS)
    assert_same(load(path, signal="second"), counts=2 * COUNTS)


@pytest.mark.parametrize(
    ("header", "factor"), [("Energy (keV)", 1e3), ("Energy [meV]", 1e-3), ("E/eV", 1.0)]
)
def test_units_of_the_header_are_converted(tmp_path, header, factor):
    text = f"{header}\tcounts\n" + rows(ENERGIES / factor, digits=8)
    spectra = load(write(tmp_path / "a.txt", text))
    assert_same(spectra)
    assert noted(spectra, "converted from") == (factor != 1.0)


def test_comments_and_text_after_the_table_are_skipped(tmp_path):
    text = "# one\n% two\n// three\n! four\n\n" + rows() + "\nend of data\n"
    spectra = load(write(tmp_path / "a.txt", text))
    assert_same(spectra)
    assert noted(spectra, "text after the table was skipped (from line 207 on)")


def test_a_descending_axis_is_reversed(tmp_path):
    spectra = load(write(tmp_path / "a.txt", rows(ENERGIES[::-1], COUNTS[::-1])))
    assert_same(spectra)
    assert noted(spectra, "ran downwards and was reversed")


def test_unsorted_rows_are_sorted(tmp_path):
    order = np.random.default_rng(1).permutation(ENERGIES.size)
    spectra = load(write(tmp_path / "a.txt", rows(ENERGIES[order], COUNTS[order])))
    assert_same(spectra)
    assert noted(spectra, "were sorted")


def test_a_repeated_row_is_averaged(tmp_path):
    energies = np.insert(ENERGIES, 50, ENERGIES[50])
    counts = np.insert(COUNTS, 50, COUNTS[50] + 100)
    spectra = load(write(tmp_path / "a.txt", rows(energies, counts)))
    expected = COUNTS.copy()
    expected[50] += 50
    assert_same(spectra, counts=expected)
    assert noted(spectra, "1 repeated energies were merged")


def test_an_axis_printed_with_too_few_digits_is_fitted(tmp_path):
    fine = 400 + 0.035 * np.arange(200)
    for digits in (2, 1):
        spectra = load(write(tmp_path / "a.txt", rows(fine, digits=digits)))
        assert spectra.axis.dispersion == pytest.approx(0.035, rel=0.01)
        assert spectra.axis.offset == pytest.approx(400, abs=0.06)
        np.testing.assert_allclose(spectra.counts, COUNTS)
        assert noted(spectra, "energies are rounded")


@pytest.mark.parametrize("step", [0.15, 0.12])
def test_energies_rounded_to_most_of_a_channel_keep_their_counts(tmp_path, step):
    fine = 400 + step * np.arange(200)
    spectra = load(write(tmp_path / "a.txt", rows(fine, digits=1)))
    assert spectra.axis.dispersion == pytest.approx(step, rel=0.01)
    np.testing.assert_allclose(spectra.counts, COUNTS)
    found = coreloss.identify(COUNTS, np.round(fine, 1).astype(np.float32))
    assert noted(found, "energies are rounded")


def test_an_uneven_axis_is_resampled_with_counts_per_ev_kept(tmp_path):
    widths = np.linspace(0.3, 0.9, 300)
    centres = 400 + np.cumsum(widths)
    steps = np.gradient(centres)
    per_ev = 1000 * (centres / 400) ** -3
    spectra = load(write(tmp_path / "a.txt", rows(centres, per_ev * steps, digits=8)))
    assert noted(spectra, "conserving counts per eV")
    measured = np.isfinite(spectra.counts)
    density = (spectra.counts / spectra.axis.dispersion)[measured]
    true = 1000 * (spectra.axis.energies[measured] / 400) ** -3
    np.testing.assert_allclose(density[3:-3], true[3:-3], rtol=0.01)
    total = np.nansum(spectra.counts)
    assert total == pytest.approx(np.sum(per_ev * steps), rel=0.01)


def test_a_gap_in_the_axis_is_not_measured(tmp_path):
    keep = (ENERGIES < 430) | (ENERGIES > 445)
    spectra = load(write(tmp_path / "a.txt", rows(ENERGIES[keep], COUNTS[keep])))
    inside = (spectra.axis.energies > 429.5) & (spectra.axis.energies < 445.5)
    assert np.all(np.isnan(spectra.counts[inside]))
    np.testing.assert_allclose(spectra.axis.energies[~inside], ENERGIES[keep])
    # those beside the gap count what they did
    np.testing.assert_allclose(spectra.counts[~inside], COUNTS[keep])


@pytest.mark.parametrize(("missing", "at"), [(1, 50), (2, 50), (3, 50), (2, 1), (1, 198)])
def test_a_few_channels_missing_are_a_gap(tmp_path, missing, at):
    keep = np.ones(ENERGIES.size, dtype=bool)
    keep[at : at + missing] = False
    spectra = load(write(tmp_path / "a.txt", rows(ENERGIES[keep], COUNTS[keep])))
    np.testing.assert_array_equal(np.isnan(spectra.counts), ~keep)
    np.testing.assert_allclose(spectra.counts[keep], COUNTS[keep])


@pytest.mark.parametrize("missing", [(60,), (100,), (50, 150)])
def test_a_missing_channel_of_whole_energies_is_no_rounding(tmp_path, missing):
    keep = ~np.isin(np.arange(200), missing)
    text = rows(400.0 + np.flatnonzero(keep), COUNTS[keep], digits=0)
    spectra = load(write(tmp_path / "a.txt", text))
    np.testing.assert_array_equal(np.isnan(spectra.counts), ~keep)


def test_a_channel_between_two_gaps_is_as_wide_as_the_others(tmp_path):
    keep = (ENERGIES < 440) | (ENERGIES > 480)
    keep |= np.abs(ENERGIES - 460) < 0.4
    spectra = load(write(tmp_path / "a.txt", rows(ENERGIES[keep], COUNTS[keep])))
    known = np.isfinite(spectra.counts)
    np.testing.assert_allclose(spectra.axis.energies[known], ENERGIES[keep])
    np.testing.assert_allclose(spectra.counts[known], COUNTS[keep])


@pytest.mark.parametrize("lone", [380.0, 700.0])
def test_a_channel_by_itself_is_as_wide_as_the_others(tmp_path, lone):
    energies = np.sort(np.append(ENERGIES, lone))
    counts = np.append(COUNTS, 7.0)[np.argsort(np.append(ENERGIES, lone))]
    spectra = load(write(tmp_path / "a.txt", rows(energies, counts)))
    known = np.isfinite(spectra.counts)
    np.testing.assert_allclose(spectra.axis.energies[known], energies)
    np.testing.assert_allclose(spectra.counts[known], counts)


def test_missing_and_odd_values_are_kept_and_counted(tmp_path):
    counts = [f"{c}" for c in COUNTS]
    counts[10], counts[20], counts[30], counts[40], counts[50] = "", "nan", "inf", "-3", "0"
    lines = "\n".join(f"{e},{c}" for e, c in zip(ENERGIES, counts, strict=True))
    spectra = load(write(tmp_path / "a.csv", lines))
    assert np.flatnonzero(np.isnan(spectra.counts)).tolist() == [10, 20, 30]
    assert spectra.counts[40] == -3
    assert spectra.counts[50] == 0
    for words in ("3 of 200 values are NaN", "1 of 200 values are negative", "1 infinite values"):
        assert noted(spectra, words)


def test_infinite_counts_need_no_names_of_columns(tmp_path):
    values = np.stack([np.arange(400.0, 500.0), np.arange(100.0)], axis=1)
    values[[20, 21], 1] = -np.inf, np.inf
    np.savetxt(tmp_path / "bare.csv", values, delimiter=",")
    assert np.flatnonzero(np.isnan(load(tmp_path / "bare.csv").counts)).tolist() == [20, 21]


def test_channels_never_recorded_become_nan(tmp_path):
    counts = COUNTS.copy()
    counts[-6:] = 0
    spectra = load(write(tmp_path / "a.txt", rows(counts=counts)))
    assert np.flatnonzero(np.isnan(spectra.counts)).tolist() == list(range(194, 200))
    assert noted(spectra, "taken as not recorded")


def test_zeros_of_a_sparse_spectrum_stay_counts(tmp_path):
    counts = np.random.default_rng(3).poisson(0.7, ENERGIES.size).astype(float)
    counts[-5:] = 0
    spectra = load(write(tmp_path / "a.txt", rows(counts=counts)))
    np.testing.assert_array_equal(spectra.counts, counts)


def test_given_energies_replace_the_axis(tmp_path):
    one = write(tmp_path / "one.txt", "\n".join(f"{c}" for c in COUNTS))
    assert_same(load(one, energies=ENERGIES))
    two = write(tmp_path / "two.txt", rows(np.arange(200)))
    assert_same(load(two, energies=ENERGIES))
    assert_same(load(write_msa(tmp_path / "a.msa"), energies=ENERGIES + 3), offset=403)


# --- arrays ---------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda p: p, lambda p: p.T, lambda p: p.astype(">f4")])
def test_npy_of_two_rows_or_columns(tmp_path, make):
    path = tmp_path / "a.npy"
    np.save(path, make(np.array([ENERGIES, COUNTS])))
    spectra = load(path)
    assert_same(spectra)
    assert spectra.counts.dtype.isnative


def test_npy_with_given_energies_moves_the_energy_axis_last(tmp_path):
    path = tmp_path / "cube.npy"
    cube = np.random.default_rng(2).poisson(50, (200, 3, 4)).astype(np.uint16)
    np.save(path, cube)
    spectra = load(path, energies=ENERGIES)
    np.testing.assert_array_equal(spectra.counts, np.moveaxis(cube, 0, -1))
    assert noted(spectra, "axis 1 of 3 is energy and was moved last")


def test_structured_npy_and_npz(tmp_path):
    table = np.empty(200, dtype=[("energy", "<f8"), ("counts", "<i4")])
    table["energy"], table["counts"] = ENERGIES, COUNTS
    np.save(tmp_path / "a.npy", table)
    assert_same(load(tmp_path / "a.npy"))
    np.savez_compressed(tmp_path / "a.npz", energy=ENERGIES, counts=COUNTS, other=2 * COUNTS)
    assert_same(load(tmp_path / "a.npz"))
    assert_same(load(tmp_path / "a.npz", signal="other"), counts=2 * COUNTS)
    np.savez(tmp_path / "b.npz", counts=COUNTS)
    assert_same(load(tmp_path / "b.npz", energies=ENERGIES))


# --- RosettaSciIO ---------------------------------------------------------------------------


def test_msa_with_microscope_parameters(tmp_path):
    keys = {"BEAMKV   -kV": "300.0", "CONVANGLE-mR": "9.5", "COLLANGLE-mR": "21.0"}
    spectra = load(write_msa(tmp_path / "Spektrum ß 日本.msa", **keys))
    assert_same(spectra)
    assert spectra.metadata["title"] == "oxide"
    assert spectra.metadata["file"].endswith("Spektrum ß 日本.msa")
    wanted = {"beam_energy_kev": 300.0, "alpha_mrad": 9.5, "beta_mrad": 21.0}
    assert {key: spectra.metadata[key] for key in wanted} == wanted


def test_msa_in_kev_and_cut_short(tmp_path):
    keys = {"XUNITS": "keV", "XPERCHAN": "0.0005", "OFFSET": "0.4", "NPOINTS": "300"}
    spectra = load(write_msa(tmp_path / "a.msa", **keys))
    assert_same(spectra)
    assert noted(spectra, "converted from keV")
    assert noted(spectra, "NPOINTS declares 300 channels but 200 are there")


def test_msa_of_pairs_without_calibration_uses_its_own_column(tmp_path):
    head = "#FORMAT      : EMSA/MAS Spectral Data File\n#XUNITS      : eV\n"
    head += "#DATATYPE    : XY\n#SPECTRUM    : here\n"
    assert_same(load(write(tmp_path / "a.msa", head + rows(separator=", ") + "#ENDOFDATA : \n")))


def test_readers_are_told_by_content_not_name(tmp_path):
    msa = write_msa(tmp_path / "a.dm3")
    spectra = load(msa)
    assert_same(spectra)
    assert noted(spectra, "'a.dm3' but holds an MSA file")
    np.save(tmp_path / "b.npy", np.array([ENERGIES, COUNTS]))
    (tmp_path / "b.npy").rename(tmp_path / "b.txt")
    assert_same(load(tmp_path / "b.txt"))
    image = dm3_image(COUNTS.astype("<f4"), [(400.0, 0.5, "eV")], title="core", kind="EELS")
    spectra = load(write_dm3(tmp_path / "c.txt", image))
    assert_same(spectra)
    assert noted(spectra, "'c.txt' but holds a DigitalMicrograph file")


def test_the_core_loss_signal_of_a_dm3_is_found(tmp_path):
    survey = dm3_image(np.ones((8, 200), "<u2"), [(0, 1.0, "nm"), (0, 1.0, "nm")], title="survey")
    low = dm3_image(
        COUNTS.astype("<f4") * 9, [(-20.0, 0.5, "eV")], title="EELS (low-loss)", kind="EELS"
    )
    core = dm3_image(
        COUNTS.astype("<i4"),
        [(400.0, 0.5, "eV")],
        title="EELS (high-loss)",
        kind="EELS",
        tags={
            "Microscope Info": {"Voltage": 300000.0},
            "EELS": {
                "Experimental Conditions": {
                    "Collection semi-angle (mrad)": 12.5,
                    "Convergence semi-angle (mrad)": 0.0,
                }
            },
        },
    )
    xray = dm3_image(COUNTS.astype("<f4"), [(0.01, 0.01, "keV")], title="EDS", kind="X-ray")
    path = write_dm3(tmp_path / "a.dm3", survey, low, core, xray)
    spectra = load(path)
    assert_same(spectra)
    assert noted(spectra, "data set 2 of 0–3, 'EELS (high-loss)' (200), was taken")
    assert noted(spectra, "'survey' (8 × 200)")
    assert spectra.metadata["beam_energy_kev"] == 300.0
    assert spectra.metadata["beta_mrad"] == 12.5
    assert "alpha_mrad" not in spectra.metadata  # zero: nothing was entered
    for wanted in (1, "low", "EELS (LOW-loss)"):
        spectra = load(path, signal=wanted)
        assert spectra.axis.offset == pytest.approx(-20)
        assert noted(spectra, "low-loss spectrum")
    for wanted in (9, "EELS", "none such"):
        with pytest.raises(ReadError, match="has no single data set"):
            load(path, signal=wanted)


def test_a_low_loss_file_loads_and_is_said_to_be_one(tmp_path):
    image = dm3_image(COUNTS.astype("<f4"), [(-20.0, 0.25, "eV")], title="LL", kind="EELS")
    spectra = load(write_dm3(tmp_path / "a.dm3", image))
    assert spectra.axis.offset == pytest.approx(-20)
    assert noted(spectra, "it is a low-loss spectrum")


def test_a_spectrum_image_comes_with_energy_last(tmp_path):
    cube = np.random.default_rng(5).poisson(90, (200, 3, 4)).astype("<f4")
    axes = [(400.0, 0.5, "eV"), (0.0, 1.0, "nm"), (0.0, 1.0, "nm")]
    spectra = load(write_dm3(tmp_path / "a.dm3", dm3_image(cube, axes, title="SI", kind="EELS")))
    assert_same(spectra, counts=np.moveaxis(cube, 0, -1))


def test_zeros_from_aligning_spectra_are_not_counts(tmp_path):
    lines = np.random.default_rng(5).poisson(90, (40, 200)).astype("<f4") + 1
    for row in range(40):
        lines[row, : row % 4] = 0
    axes = [(0.0, 1.0, ""), (400.0, 0.5, "eV")]
    spectra = load(write_dm3(tmp_path / "a.dm3", dm3_image(lines, axes, kind="EELS")))
    assert np.all(np.isnan(spectra.counts[:, :3]))
    np.testing.assert_array_equal(spectra.counts[:, 3:], lines[:, 3:])


def test_a_negative_dispersion_is_reversed(tmp_path):
    image = dm3_image(COUNTS[::-1].astype("<f4"), [(499.5, -0.5, "eV")], kind="EELS")
    spectra = load(write_dm3(tmp_path / "a.dm3", image))
    assert_same(spectra)
    assert noted(spectra, "reversed")


def test_an_axis_without_unit_is_taken_as_ev(tmp_path):
    image = dm3_image(COUNTS.astype("<f4"), [(400.0, 0.5, "")], kind="EELS")
    spectra = load(write_dm3(tmp_path / "a.dm3", image))
    assert_same(spectra)
    assert noted(spectra, "no unit; eV assumed")


def hspy_entry(data, axes, title="map", kind="EELS", tem=None):
    return {
        "data": data,
        "axes": axes,
        "metadata": {
            "General": {"title": title},
            "Signal": {"signal_type": kind},
            "Acquisition_instrument": {"TEM": tem or {}},
        },
        "original_metadata": {},
        "learning_results": {},
        "models": {},
        "package_info": {"package": "", "package_version": ""},
        "attributes": {"_lazy": False, "ragged": False},
        "tmp_parameters": {},
    }


def uniform_axis(size, scale, offset, unit, navigate, index, name="axis"):
    return {
        "_type": "UniformDataAxis",
        "name": name,
        "units": unit,
        "navigate": navigate,
        "is_binned": False,
        "size": size,
        "scale": scale,
        "offset": offset,
        "index_in_array": index,
    }


def test_hspy_spectrum_image(tmp_path):
    writer = pytest.importorskip("rsciio.hspy")
    pytest.importorskip("h5py")
    cube = np.random.default_rng(5).poisson(90, (2, 3, 200)).astype(">u2")
    axes = [
        uniform_axis(2, 1.0, 0.0, "nm", True, 0),
        uniform_axis(3, 1.0, 0.0, "nm", True, 1),
        uniform_axis(200, 0.0005, 0.4, "keV", False, 2),
    ]
    tem = {"beam_energy": 200.0, "convergence_angle": 10.0}
    tem["Detector"] = {"EELS": {"collection_angle": 20.0}}
    path = tmp_path / "ä.hspy"
    writer.file_writer(str(path), hspy_entry(cube, axes, tem=tem))
    spectra = load(path)
    assert_same(spectra, counts=cube.astype(np.float32))
    assert spectra.metadata["beta_mrad"] == 20.0
    assert spectra.metadata["title"] == "map"
    np.testing.assert_allclose(
        load(path, energies=ENERGIES + 1).axis.energies, ENERGIES + 1, atol=1e-9
    )


def test_loading_leaves_no_output_and_no_state(tmp_path, capfd):
    import logging

    path = write_msa(tmp_path / "a.msa", DATE="yesterday", TIME="10:00 PM")
    level = logging.getLogger("rsciio").level
    assert_same(load(path))
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("rsciio").level == level


def test_importing_io_is_light():
    code = "import sys, coreloss.io; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"rsciio", "dask", "h5py", "torch", "matplotlib", "onnxruntime", "hyperspy"}


# --- signals in memory ----------------------------------------------------------------------


def fake_signal(data, navigation=(), signal=(), title="s", kind="EELS"):
    """What HyperSpy signals offer: data, axes_manager and metadata.as_dictionary()."""
    axes = {"navigation_axes": list(navigation), "signal_axes": list(signal)}
    tree = {
        "General": {"title": title},
        "Signal": {"signal_type": kind},
        "Acquisition_instrument": {"TEM": {"beam_energy": 80, "convergence_angle": object()}},
    }
    return types.SimpleNamespace(
        data=data,
        axes_manager=types.SimpleNamespace(**axes),
        metadata=types.SimpleNamespace(as_dictionary=lambda: tree),
    )


def fake_axis(size, scale, offset, units, index, **more):
    names = {"name": object(), "is_uniform": True, "index_in_array": index}
    return types.SimpleNamespace(size=size, scale=scale, offset=offset, units=units, **names | more)


def test_from_signal_moves_energy_last_and_reads_metadata():
    cube = np.random.default_rng(5).poisson(90, (200, 3)).astype(np.float64)
    spectra = from_signal(
        fake_signal(
            cube,
            navigation=[fake_axis(3, 1.0, 0.0, "nm", 1)],
            signal=[fake_axis(200, 0.5, 400.0, "eV", 0)],
        )
    )
    assert_same(spectra, counts=cube.T)
    assert spectra.metadata == {"beam_energy_kev": 80.0, "title": "s", "signal": "s"}


def test_from_signal_computes_lazy_data_and_uneven_axes():
    class Lazy:
        shape = (200,)
        dtype = np.dtype(float)

        def compute(self):
            return COUNTS

    assert_same(from_signal(fake_signal(Lazy(), signal=[fake_axis(200, 0.5, 400.0, "eV", 0)])))
    uneven = types.SimpleNamespace(
        name="E", units="eV", is_uniform=False, axis=400 * 1.002 ** np.arange(200), index_in_array=0
    )
    assert noted(from_signal(fake_signal(COUNTS, signal=[uneven])), "resampled")


def test_from_signal_refuses_other_things():
    with pytest.raises(ReadError, match="the list object: is not a HyperSpy signal"):
        from_signal([1, 2, 3])
    pixel = fake_axis(200, 1.0, 0.0, object(), 0)
    with pytest.raises(ReadError, match="the signal 's': its 200 channels are only numbered"):
        from_signal(fake_signal(COUNTS, signal=[pixel]))
    assert_same(from_signal(fake_signal(COUNTS, signal=[pixel]), energies=ENERGIES))
    energy = fake_axis(200, 0.5, 400.0, "eV", 0)
    with pytest.raises(ReadError, match=r"holds an X-ray \(EDS\) spectrum, not EELS"):
        from_signal(fake_signal(COUNTS, signal=[energy], kind="EDS_TEM"))


# --- the real files -------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.skipif(not ROWS, reason="the real spectra are not beside the checkout")
@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_real_file(row):
    spectra = load(REAL / row["file"])
    assert spectra.axis.dispersion == pytest.approx(row["dispersion_eV"], rel=1e-3)
    assert spectra.counts.shape[:-1] == tuple(row["shape"][:-1])
    # Where the manifest has fewer channels, those at the ends are alignment artefacts.
    low, high = row["valid_energy_range_eV"]
    inside = (spectra.axis.energies > low - 0.01) & (spectra.axis.energies < high + 0.01)
    assert abs(np.count_nonzero(inside) - row["shape"][-1]) <= 1
    assert np.all(np.isfinite(spectra.summed().counts[inside][2:-2]))


@pytest.mark.real
@pytest.mark.skipif(not ROWS, reason="the real spectra are not beside the checkout")
@pytest.mark.parametrize("row", [r for r in ROWS if "low_loss_file" in r], ids=lambda r: r["id"])
def test_real_low_loss_file_contains_its_zero_loss_peak(row):
    spectra = load(REAL / row["low_loss_file"]).summed()
    peak = spectra.axis.energies[np.nanargmax(spectra.counts)]
    assert spectra.axis.start < 0 < spectra.axis.end
    assert abs(peak) < 15
