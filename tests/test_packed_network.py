"""Records that share rows of a network: each gets what it would get alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coreloss.networks.packing import UNIT

torch = pytest.importorskip("torch")


def network(**options: object) -> object:
    from coreloss.networks import build

    torch.manual_seed(3)
    widths = {"widths": (8, 12, 16, 20), "head": (6, 16), **options}
    made = build("compact", n_channels_in=3, n_grid=512, n_elements=5, **widths)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.normal_(module.bias)
    return made.eval()


def records(n: int, seed: int = 1) -> np.ndarray:
    """Windows of noise on a grid of 512 channels."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 3, 512)).astype(np.float32)
    first = rng.integers(0, 400, n)
    last = np.minimum(first + rng.integers(20, 300, n), 512)
    place = np.arange(512)
    inside = (place >= first[:, None]) & (place < last[:, None])
    return values * inside[:, None, :]


def test_neighbours_in_a_row_change_nothing() -> None:
    net, x = network(), torch.as_tensor(records(12))
    with torch.no_grad():
        together = net(x)
        alone = torch.cat([net(x[i : i + 1]) for i in range(12)])
        loud = x.clone()
        loud[1:] *= 100.0
        beside = net(loud)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together[0], beside[0], rtol=1e-4, atol=1e-5)


def test_a_record_moved_along_the_grid_is_another() -> None:
    net, x = network(), torch.zeros(1, 3, 512)
    x[:, :, 64:160] = torch.randn(1, 3, 96)
    with torch.no_grad():
        moved = net(torch.roll(x, 2 * UNIT, dims=2))
        assert float((net(x) - moved).abs().max()) > 1e-3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kernels": (7, 5, 5, 5)}, "reach into the next record"),
        ({"kernels": (7, 5, 4, 3)}, "they are odd"),
        ({"kernels": (7, 5, 5)}, r"kernels is \(7, 5, 5\), and takes four"),
        ({"kernels": 7}, "kernels is 7, and takes four"),
        ({"kernels": (7.0, 5, 5, 3)}, "takes four whole numbers"),
        ({"widths": (0, 12, 16, 20)}, "four whole numbers from 1 on"),
        ({"blocks": (1, 1, 1, -1)}, "four whole numbers from 0 on"),
    ],
)
def test_stages_and_kernels_that_cannot_be_built_are_refused(options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        network(**options)


def test_the_widest_kernels_keep_neighbours_apart() -> None:
    """Records of whole units, as close as they can stand."""
    net, x = network(kernels=(17, 9, 5, 3)), torch.zeros(4, 3, 512)
    for i in range(4):
        x[i, :, 96 * i : 96 * i + 96] = torch.randn(3, 96)
    loud = x.clone()
    loud[1:] *= 100.0
    with torch.no_grad():
        torch.testing.assert_close(net(x)[0], net(loud)[0], rtol=1e-4, atol=1e-5)


def test_nothing_recorded_is_no_error() -> None:
    with torch.no_grad():
        assert bool(torch.isfinite(network()(torch.zeros(2, 3, 512))).all())


def test_exported_rows_give_the_same_logits(tmp_path: Path) -> None:
    from coreloss.networks.session import open_session, run_network
    from coreloss.training.export import _write_onnx

    net, x = network(), records(9)
    _write_onnx(net, tmp_path / "model.onnx", x[:2])
    session = open_session(tmp_path / "model.onnx", 1)
    with torch.no_grad():
        own = net(torch.as_tensor(x)).numpy()
    np.testing.assert_allclose(run_network(session, x), own, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run_network(session, x[4:5]), own[4:5], rtol=1e-4, atol=1e-5)
    empty = run_network(session, np.zeros((1, 3, 512), dtype=np.float32))
    assert np.isfinite(empty).all()


def test_a_wider_network_begins_as_its_narrower_one() -> None:
    from coreloss.networks.widen import widened

    narrow, wide = network(), network(widths=(10, 12, 24, 30))
    x = torch.as_tensor(records(6))
    wide.load_state_dict(widened(wide, narrow.state_dict(), noise=0.0))
    with torch.no_grad():
        torch.testing.assert_close(wide(x), narrow(x), rtol=1e-3, atol=1e-5)
        wide.load_state_dict(widened(wide, narrow.state_dict()))
        difference = (wide(x) - narrow(x)).abs().max()
        assert 0 < float(difference) < 0.5 * float(narrow(x).std() + narrow(x).abs().max())
    # copies are told apart, or training could not use them
    stem = wide.stem[0].weight.detach()
    assert torch.unique(stem.flatten(1), dim=0).shape[0] == 10


def test_only_narrower_networks_of_the_same_kind_are_widened() -> None:
    from coreloss.networks.widen import widened

    with pytest.raises(ValueError, match="more than"):
        widened(network(), network(widths=(10, 12, 24, 30)).state_dict())
    with pytest.raises(ValueError, match="other layers"):
        widened(network(blocks=(1, 1, 1, 1)), network().state_dict())
