"""From counts to elements, with a model that looks for steps at onsets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import write_bundle

import coreloss
from coreloss.edges import ELEMENTS, edges_of
from coreloss.identification import (
    ModelBundle,
    ModelError,
    SpectrumError,
    identify_spectra,
    list_models,
    load_model,
)
from coreloss.identification.candidates import CandidateSet
from coreloss.identification.result import covers


def test_a_step_at_532_ev_is_oxygen(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    result = coreloss.identify(counts, energy, model=step_bundle)
    assert "O" in result.found
    assert result.probabilities["O"] > 0.8
    assert result.edges("O")[0]["label"] == "O K"
    assert "Ca" not in result.found
    assert {"C", "Cu"} <= set(result.not_judged)
    assert set(result.found) | set(result.absent) | set(result.not_judged) == set(ELEMENTS)


def test_edges_at_the_ends_of_the_record_are_said_not_to_be_covered(step_bundle: Path) -> None:
    onset = {e.label: e.onset_ev for e in edges_of("Fe")}
    energy = np.arange(onset["Fe L3"] - 60.0, onset["Fe L2"] + 1.0)
    result = coreloss.identify(1e5 * (energy / 600) ** -3.0, energy, model=step_bundle)
    covered = {e["label"]: e["covered"] for e in result.edges("Fe")}
    assert covered == {"Fe L3": True, "Fe L2": False}


def test_batch_gives_what_single_spectra_give(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    other = 1e5 * (energy / 430) ** -2.5
    batch = coreloss.identify(np.stack([counts, other]), energy, model=step_bundle)
    assert isinstance(batch, list)
    for result, single in zip(batch, (counts, other), strict=True):
        alone = coreloss.identify(single, energy, model=step_bundle)
        assert result.probabilities == pytest.approx(alone.probabilities, abs=1e-6)


def test_descending_axis_and_axis_object_are_the_same(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    one = coreloss.identify(counts, energy, model=step_bundle)
    two = coreloss.identify(counts[::-1], energy[::-1], model=step_bundle)
    three = coreloss.identify(
        counts, coreloss.EnergyAxis(float(energy[0]), 1.0, energy.size), model=step_bundle
    )
    assert one.probabilities == two.probabilities == three.probabilities


def test_scaled_and_integer_counts_are_the_same(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    one = coreloss.identify(counts, energy, model=step_bundle)
    for changed in (counts.astype(np.int64), counts.astype(">f4"), counts * 1e-4):
        other = coreloss.identify(changed, energy, model=step_bundle)
        assert other.probabilities == pytest.approx(one.probabilities, abs=2e-3)


def test_missing_channels_are_bridged_or_cut(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    holes = counts.copy()
    holes[[0, 1, 40, 41, 250, -1]] = np.nan
    result = coreloss.identify(holes, energy, model=step_bundle)
    assert "O" in result.found


def test_a_shifted_axis_moves_the_answer(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    moved = coreloss.identify(counts, energy + 60.0, model=step_bundle)
    assert "O" not in moved.found


def test_shift_average_is_a_mean_over_shifted_axes(tmp_path: Path, oxygen) -> None:
    energy, counts = oxygen
    plain = ModelBundle.open(write_bundle(tmp_path / "plain"))
    mean = ModelBundle.open(write_bundle(tmp_path / "mean", shift_average_ev=[-2.0, 2.0]))

    def logit(shift: float) -> float:
        p = coreloss.identify(counts, energy + shift, model=plain).probabilities["O"]
        return float(np.log(p / (1 - p)))

    p = coreloss.identify(counts, energy, model=mean).probabilities["O"]
    assert np.log(p / (1 - p)) == pytest.approx(0.5 * (logit(-2.0) + logit(2.0)), abs=0.02)


@pytest.mark.parametrize(
    ("counts", "energy", "words"),
    [
        (np.ones(300), 430 + np.arange(300.0), "same value"),
        (np.arange(300) + 1j, 430 + np.arange(300.0), "real numbers"),
        (np.arange(300.0), 430 + np.arange(299.0), "must agree"),
        (np.arange(5.0), 430 + np.arange(5.0), "at least 8"),
        (np.arange(300.0), 5000 + np.arange(300.0), "core-loss record"),
        (np.arange(300.0), 0.4 + 0.001 * np.arange(300.0), "keV"),
        (np.arange(300.0), np.geomspace(100, 900, 300), "evenly spaced"),
        (np.full(300, np.nan), 430 + np.arange(300.0), "only 0 channels"),
        (np.zeros((2, 2, 300)), 430 + np.arange(300.0), "one spectrum"),
        (np.arange(300.0), np.full(300, 500.0), "ascend"),
    ],
)
def test_what_cannot_be_judged_gets_a_sentence(
    step_bundle: Path, counts: np.ndarray, energy: np.ndarray, words: str
) -> None:
    with pytest.raises(SpectrumError, match=words) as caught:
        coreloss.identify(counts, energy, model=step_bundle)
    assert "\n" not in str(caught.value)


def test_threshold_is_checked(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    with pytest.raises(SpectrumError, match="between 0 and 1"):
        coreloss.identify(counts, energy, model=step_bundle, threshold=1.5)
    strict = coreloss.identify(counts, energy, model=step_bundle, threshold=0.999999)
    assert strict.threshold == 0.999999


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "bundle format 2"),
        ({"elements": ["O", "Xx"]}, "other elements"),
        ({"threshold": "high"}, "cannot be read"),
        ({"input": {}}, "cannot be read"),
    ],
)
def test_bad_bundles_get_a_sentence(tmp_path: Path, change: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        ModelBundle.open(write_bundle(tmp_path / "bad", **change))


def test_broken_networks_get_a_sentence(tmp_path: Path, oxygen) -> None:
    energy, counts = oxygen
    folder = write_bundle(tmp_path / "broken")
    (folder / "model.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match="cannot load it"):
        coreloss.identify(counts, energy, model=folder)
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model\.onnx"):
        ModelBundle.open(folder)
    with pytest.raises(ModelError, match="no model 'nonesuch'"):
        load_model("nonesuch")


def test_dictionary_and_table(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    result = coreloss.identify(counts, energy, model=step_bundle)
    said = json.loads(json.dumps(result.to_dict()))
    assert said["elements"][0]["symbol"] == result.found[0]
    assert set(said["probabilities"]) == set(ELEMENTS)
    assert said["model"] == "steps 1"
    assert "O" in result.table()
    assert "not judged" in result.table()


def test_images_are_identified_pixel_by_pixel(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    axis = coreloss.EnergyAxis.from_energies(energy)
    image = coreloss.Spectra(np.tile(counts, (2, 3, 1)), axis)
    assert len(identify_spectra(image, model=step_bundle)) == 6


def test_coverage_needs_channels_on_both_sides() -> None:
    edge = edges_of("O")[0]
    for start, end, inside in ((400, 600, True), (531, 600, False), (400, 533, False)):
        axis = coreloss.EnergyAxis(start + 0.5, 1.0, end - start)
        assert covers(axis, edge) is inside


def test_shipped_models_are_small_and_carry_their_card() -> None:
    models = list_models()
    assert "default" in [m.name for m in models]
    for model in models:
        size = sum(f.stat().st_size for f in model.path.iterdir())
        assert size < 20e6
        assert model.card["training"]["recipe_sha256"]
        assert model.card["scores"]["simulated"]["f1"] > 0


def test_default_model_knows_plain_cases() -> None:
    from coreloss.simulate import simulate_sample

    for composition, window in (
        ({"Ti": 1, "O": 2}, (380, 680)),
        ({"Fe": 2, "O": 3}, (450, 850)),
        ({"B": 1, "N": 1}, (150, 500)),
        ({"U": 1, "O": 2}, (300, 800)),  # no caesium
    ):
        batch = simulate_sample(
            composition,
            start_ev=window[0],
            end_ev=window[1],
            counts=1e6,
            jump_ratio=0.8,
            seed=1,
            n=6,
        )
        axes = zip(batch.offset, batch.dispersion, batch.size, strict=True)
        right = 0
        for counts, (start, step, size) in zip(np.asarray(batch.counts), axes, strict=True):
            axis = coreloss.EnergyAxis(float(start), float(step), int(size))
            result = coreloss.identify(counts[: axis.size], axis)
            right += set(result.found) == set(composition)
        assert right == 6, composition


def test_channels_never_recorded_are_not_judged(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    cut = counts.copy()
    cut[energy > 500] = np.nan
    alone = coreloss.identify(cut, energy, model=step_bundle)
    assert "O" in alone.not_judged
    assert alone.axis.end < 502
    # the answer does not hang on what else is in the batch
    beside = coreloss.identify(np.stack([counts, cut]), energy, model=step_bundle)
    assert beside[1].probabilities == pytest.approx(alone.probabilities, abs=1e-6)
    assert beside[1].not_judged == alone.not_judged
    assert "O" in beside[0].found


@pytest.mark.parametrize("wide", [3, 30])
def test_an_edge_in_a_gap_is_not_judged(step_bundle: Path, oxygen, wide: int) -> None:
    energy, counts = oxygen
    gap = np.where(np.abs(energy - 532.0) < 0.5 * wide, np.nan, counts)
    result, whole = coreloss.identify(np.stack([gap, counts]), energy, model=step_bundle)
    assert "O" in whole.found
    told = [note for note in result.notes if "edges there are not judged" in note]
    if wide < 6:  # a few dead channels hide no edge
        assert "O" in result.found
        assert result.edges("O")[0]["covered"]
        assert not told
    else:
        assert "O" in result.not_judged
        assert not result.edges("O")[0]["covered"]
        assert "518 to 546 eV" in told[0]
        # Sb has its M4,5 edge there, and lesser ones elsewhere: a step at the gap is none of them
        assert "Sb" in result.not_judged
    assert set(result.not_judged) >= set(whole.not_judged)
    assert "V" in result.judged  # its L3 edge lies before the gap


def test_what_rises_slowly_must_be_recorded_farther_behind() -> None:
    axis = coreloss.EnergyAxis(400.5, 1.0, 400)
    iodine = next(e for e in edges_of("I") if e.shape == "delayed" and e.major)
    oxygen = edges_of("O")[0]
    for edge, reach in ((iodine, 20.0), (oxygen, 3.0)):
        gaps = [((edge.onset_ev + reach + off, edge.onset_ev + 60.0),) for off in (-1.0, 1.0)]
        assert [covers(axis, edge, gap) for gap in gaps] == [False, True]


@pytest.mark.parametrize(("start", "named"), [(-40.0, False), (21.0, True)])
def test_beside_a_zero_loss_peak_no_rival_is_named(
    start: float, named: bool, step_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plasmons make steps where light elements and M shells have their edges."""
    rivals = (CandidateSet(("Ti", "Fe"), (0.6, 0.4), 0.9),)
    place = "coreloss.identification.predict"
    monkeypatch.setattr(f"{place}.rival_groups", lambda *_: [["Ti", "Fe"]])
    monkeypatch.setattr(f"{place}.likeliest_readings", lambda *_: rivals)
    axis = coreloss.EnergyAxis(start, 1.0, 340)
    energy = axis.energies
    counts = 1e6 * np.exp(-0.5 * energy**2) + 1e4 * np.exp(-0.02 * np.abs(energy))
    result = coreloss.identify(counts, axis, model=step_bundle)
    assert not result.abstained
    assert ("Ti" in result.found) is named


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_dead_spectra_of_a_batch_are_not_judged(step_bundle: Path, oxygen, value: float) -> None:
    energy, counts = oxygen
    good, dead = coreloss.identify(
        np.stack([counts, np.full_like(counts, value)]), energy, model=step_bundle
    )
    assert "O" in good.found
    assert (dead.found, dead.absent) == ((), ())
    assert set(dead.not_judged) == set(ELEMENTS)
    said = "only 0 channels hold numbers" if np.isnan(value) else f"the same value ({value:g})"
    assert said in dead.abstained
    assert said in dead.table()
    assert said in dead.explain()


def test_network_that_does_not_fit_its_card(step_bundle: Path, tmp_path: Path, oxygen) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "model.onnx").write_bytes((step_bundle / "model.onnx").read_bytes())
    card = json.loads((step_bundle / "card.json").read_text(encoding="utf-8"))
    card["input"]["grid"]["size"] -= 100
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match="its card says"):
        coreloss.identify(oxygen[1], oxygen[0], model=folder)


def test_a_network_of_another_kind_of_input_is_told(tmp_path: Path, step_bundle: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    folder = tmp_path / "flat"
    folder.mkdir()
    (folder / "card.json").write_bytes((step_bundle / "card.json").read_bytes())
    size = [TensorProto.FLOAT, ["n", "m"]]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["spectrum"], ["logits"])],
        "flat",
        [helper.make_tensor_value_info("spectrum", *size)],
        [helper.make_tensor_value_info("logits", *size)],
    )
    versions = [helper.make_opsetid("", 17)]
    onnx.save(
        helper.make_model(graph, opset_imports=versions, ir_version=8), str(folder / "model.onnx")
    )
    axis = coreloss.EnergyAxis(400.0, 1.0, 300)
    with pytest.raises(ModelError, match="its card says"):
        coreloss.identify(np.arange(300.0), axis, model=folder)


@pytest.mark.parametrize("size", [800, 1000, 1632])
def test_packed_network_that_does_not_fit_its_card(tmp_path: Path, oxygen, size: int) -> None:
    """Rows have no length to compare with the card's; half the grid even gives numbers."""
    torch = pytest.importorskip("torch")
    from coreloss.networks import build
    from coreloss.training.export import _write_onnx

    folder = tmp_path / "bundle"
    folder.mkdir()
    card = json.loads((load_model("default").path / "card.json").read_text(encoding="utf-8"))
    channels = len(card["input"]["channels"])
    network = build(
        "compact",
        n_channels_in=channels,
        n_grid=1600,
        n_elements=len(ELEMENTS),
        widths=(4, 4, 4, 4),
        head=(2, 4),
    )
    _write_onnx(network.eval(), folder / "model.onnx", torch.zeros(2, channels, 1600).numpy())
    card["input"]["grid"]["size"] = size
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    for spectra in (oxygen[1], np.stack([oxygen[1]] * 2)):
        with pytest.raises(ModelError, match=r"its card .* export the model again") as caught:
            coreloss.identify(spectra, oxygen[0], model=folder)
        assert str(folder) in str(caught.value)
