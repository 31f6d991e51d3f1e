"""The table of generalised oscillator strengths: packing, interpolation, physics."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from coreloss.atom.cross_section import oscillator_table
from coreloss.atom.gos_grid import MomentumScale
from coreloss.atom.gos_table import GosTable, Strengths, gos_table, pack, unpack
from coreloss.cli import main
from coreloss.edges import table


def test_every_subshell_of_the_edge_table_is_in_it() -> None:
    held = gos_table()
    assert set(held.subshells) == {(edge.symbol, edge.subshell) for edge in table()}
    one = held.strengths("Fe", "L3")
    assert one.root.shape[0] >= 96
    assert one.root.shape[1] >= 64
    assert one.excess_ev[0] == pytest.approx(0.01)
    assert one.excess_ev[-1] == pytest.approx(4000.0)
    assert "Dirac" in held.provenance["theory"]


def test_onsets_are_those_of_the_edge_table() -> None:
    held = gos_table()
    for edge in table()[::20]:
        assert held.strengths(edge.symbol, edge.subshell).onset_ev == edge.onset_ev


def test_the_wheel_stays_small() -> None:
    path = Path(__file__).parents[1] / "src" / "coreloss" / "data" / "gos.npz"
    assert path.stat().st_size < 15e6


def test_packing_keeps_half_a_step() -> None:
    rng = np.random.default_rng(5)
    logs = np.cumsum(rng.normal(size=(20, 30)), axis=1) - 4.0
    peak, code = pack(logs)
    assert code.dtype == np.int16
    np.testing.assert_allclose(unpack(peak, code), logs, atol=2.6e-4)
    # what is e⁻³⁰ of the largest counts as that
    logs[3, 4] = -400.0
    peak, code = pack(logs)
    assert unpack(peak, code)[3, 4] == pytest.approx(peak - 30.0, abs=1e-3)


def test_momenta_are_the_inverse_of_their_coordinate() -> None:
    scale = MomentumScale(700.0, 8.0, 26.0)
    excess, t = np.array([0.01, 30.0, 4000.0]), np.linspace(0.0, 1.0, 17)
    q = scale.momenta(excess, t)
    np.testing.assert_allclose(
        scale.coordinate(excess[:, None], q), np.broadcast_to(t, q.shape), atol=1e-9
    )
    # from below what light itself would transfer, E/(ħc), to beyond the ridge
    loss = (700.0 + excess) / 27.211386 / 137.036
    assert np.all(q[:, 0] < loss)
    assert np.all(q[:, -1] > np.sqrt(2 * excess / 27.211386))


def _synthetic() -> Strengths:
    """(df/dE)/E = ε^-1 /(1 + q²)² as a table."""
    scale = MomentumScale(100.0, 1.0, 4.0)
    excess = np.geomspace(0.01, 4000.0, 96)
    q = scale.momenta(excess, np.linspace(0.0, 1.0, 96))
    return Strengths("X", "K", scale, excess, (excess[:, None] + 1.0) ** -0.5 / (1.0 + q**2))


def test_interpolation_of_a_known_function() -> None:
    strengths = _synthetic()
    q, losses = np.array([0.3, 0.7, 2.0]), np.array([100.5, 133.0, 900.0])
    exact = losses[:, None] / (losses - 99.0)[:, None] / (1 + q**2) ** 2
    np.testing.assert_allclose(strengths.gos(losses, q), exact, rtol=2e-3)
    assert not strengths.gos([99.0], q).any()
    assert not strengths.gos([120.0], [1e3]).any()


def test_integral_over_momenta_of_a_known_function() -> None:
    strengths = _synthetic()
    low = strengths.scale.momenta(strengths.excess_ev, np.zeros(1))[:, 0]

    def primitive(q: np.ndarray) -> np.ndarray:
        return np.log(q) - 0.5 * np.log1p(q**2) + 0.5 / (1 + q**2)

    q = low * 20.0
    exact = (primitive(q) - primitive(low)) / (strengths.excess_ev + 1.0)
    there = q < np.sqrt(2 * strengths.excess_ev / 27.211386) + 4.0
    np.testing.assert_allclose(strengths.integral(q)[there], exact[there], rtol=2e-3)


@pytest.mark.parametrize(
    ("symbol", "shells"),
    [("C", ("K",)), ("Fe", ("L3", "M1")), ("Cs", ("M5",)), ("W", ("N1", "N7"))],
)
def test_between_its_points_the_table_is_within_one_per_cent(
    symbol: str, shells: tuple[str, ...]
) -> None:
    """Against `continuum_gos`, the plain sum over multipoles, wherever the strength exceeds a
    thousandth of its maximum over energies and momenta."""
    pytest.importorskip("numba")
    from coreloss.atom.gos import Continuum, continuum_gos
    from coreloss.atom.scf import quantum_numbers, solve_atom

    held = gos_table()
    strengths = [held.strengths(symbol, shell) for shell in shells]
    # between tabulated energies: low, at resonances, high
    nodes = strengths[0].excess_ev
    middle = np.sqrt(nodes[1:] * nodes[:-1])
    excess = middle[[20, 54, 62, 80, 95]]
    z = next(edge.z for edge in table() if edge.symbol == symbol)
    continuum = Continuum(solve_atom(z, alpha=1.0), excess)
    for one in strengths:
        q = np.geomspace(0.05, 0.6 * (one.scale.tail + 4.0), 9)
        direct = continuum_gos(
            continuum,
            *quantum_numbers(one.subshell),
            q,
            onset_ev=one.onset_ev,
            converged=1e-3,
            largest_multipole=110,
        )
        ours = one.gos(one.onset_ev + excess, q)
        largest = np.max(one.root**2 * (one.onset_ev + nodes)[:, None])
        t = one.scale.coordinate(excess[:, None], q[None, :])
        matters = (direct > 1e-3 * largest) & (t > 0) & (t < 1)
        assert np.count_nonzero(matters) > 8
        np.testing.assert_allclose(ours[matters], direct[matters], rtol=0.01)


@pytest.mark.parametrize(
    ("symbol", "shell", "electrons"),
    [
        ("Li", "K", 2),
        ("Be", "K", 2),
        ("Na", "L3", 4),
        ("Si", "L2", 2),
        ("Ti", "M3", 4),
        ("Ti", "M1", 2),
        ("Sr", "N1", 2),
        ("Ag", "N3", 4),
        ("Au", "O3", 4),
        ("U", "O5", 6),
    ],
)
def test_bethe_sum_at_large_momentum(symbol: str, shell: str, electrons: int) -> None:
    """One per electron at q = 8/a₀, energies to 4 keV: the ridge, at 870 eV, is well inside.

    Tighter shells (K of carbon on, 3d, 4f) have ridges wider than that, or shells below them
    whose states are taken, to which the sum counts transitions as well."""
    one = gos_table().strengths(symbol, shell)
    excess = np.geomspace(0.01, 4000.0, 1500)
    density = one.gos(one.onset_ev + excess, [8.0])[:, 0]
    total = np.trapezoid(density * excess, np.log(excess))
    assert total == pytest.approx(electrons, rel=0.02)


def test_small_momenta_give_the_optical_table() -> None:
    """All 703 subshells, at the smallest momentum that any beam can transfer; the optical
    table, which is compared with Scofield's, is interpolated between 80 energies."""
    optical = oscillator_table()
    excess = np.array([1.0, 20.0, 200.0, 800.0])
    ratios = []
    for row, (symbol, shell) in enumerate(optical.subshells):
        one = gos_table().strengths(symbol, shell)
        lowest = one.scale.momenta(excess, np.array([1e-6]))[:, 0]
        limit = np.diagonal(one.gos(one.onset_ev + excess, lowest))
        density = optical.density(row, optical.onset_ev[row] + excess)
        shift = (one.onset_ev + excess) / (optical.onset_ev[row] + excess)
        ratios.append(limit / density / shift)
    np.testing.assert_allclose(np.median(ratios, axis=0), 1.0, atol=5e-3)
    # 800 eV above a shallow onset the smallest momentum is no longer small for its orbital
    assert np.quantile(np.abs(np.array(ratios) - 1.0), 0.98) < 0.02


def test_a_part_of_the_build_gives_the_same_numbers(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    from coreloss.atom import gos_shards

    seen: list[int] = []
    gos_shards.build_shards(
        tmp_path, symbols=("Li",), progress=lambda done, total, left: seen.append(done)
    )
    assert seen == [1]
    before = gos_shards.shard_path(tmp_path, "Li").stat().st_mtime_ns
    # what is done is not done again
    gos_shards.build_shards(tmp_path, symbols=("Li",))
    assert gos_shards.shard_path(tmp_path, "Li").stat().st_mtime_ns == before
    assert gos_shards.write_table(tmp_path, tmp_path / "li.npz", symbols=("Li",)) == 1
    anew = GosTable.read(tmp_path / "li.npz").strengths("Li", "K")
    np.testing.assert_allclose(anew.root, gos_table().strengths("Li", "K").root, rtol=2e-3)
    assert sorted(p.name.split("-")[0] for p in tmp_path.iterdir()) == ["Li", "li.npz"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "gos.npz"
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ValueError, match="gos build"):
        GosTable.read(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"gos\.npz: not a table"):
        GosTable.read(path)
    path.write_bytes(b"no table")
    with pytest.raises(ValueError, match=r"gos\.npz: not a table"):
        GosTable.read(path)


def test_the_command_does_not_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gos.npz"
    path.write_bytes(b"mine")
    assert main(["gos", "build", "--out", str(path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert path.read_bytes() == b"mine"
    assert main(["gos", "build", "--out", str(tmp_path / "none" / "gos.npz")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert main(["gos", "build", "--out", os.devnull, "--jobs", "0"]) == 2
