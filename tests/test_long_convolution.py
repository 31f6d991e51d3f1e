"""Convolutions by Fourier transforms are the convolutions of torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from coreloss.networks import build  # noqa: E402
from coreloss.networks.layers import same_conv  # noqa: E402
from coreloss.networks.long_convolution import LongConv  # noqa: E402
from coreloss.training.export import _write_onnx  # noqa: E402


def plain(layer: LongConv) -> torch.nn.Conv2d:
    """The same layer of torch's own, with the same weights."""
    other = torch.nn.Conv2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, bias=False
    )
    if layer.bias is not None:
        other.bias = torch.nn.Parameter(torch.zeros(layer.out_channels))
    other.double().load_state_dict(layer.state_dict())
    return other


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("before", "after", "kernel", "places", "stride"),
    [
        (16, 16, 32, 223, 1),  # two blocks, the last one short
        (16, 16, 32, 128, 1),  # one block, full
        (32, 16, 17, 100, 1),  # an odd kernel
        (20, 30, 32, 32, 1),  # one output
        (64, 8, 16, 40, 1),
        (16, 32, 32, 222, 2),
        (16, 32, 32, 223, 2),  # one place that no output sees
        (8, 16, 64, 101, 4),
    ],
)
def test_values_and_gradients_are_those_of_torch(
    before: int, after: int, kernel: int, places: int, stride: int, bias: bool
) -> None:
    torch.manual_seed(1)
    layer = LongConv(before, after, kernel, stride=stride, bias=bias).double()
    assert layer.fast
    other = plain(layer)
    x = torch.randn(3, before, 1, places, dtype=torch.float64, requires_grad=True)
    x_other = x.detach().clone().requires_grad_()
    y, expected = layer(x), other(x_other)
    assert y.shape == expected.shape
    given = torch.randn_like(expected)
    y.backward(given)
    expected.backward(given)
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(x.grad, x_other.grad, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(layer.weight.grad, other.weight.grad, rtol=1e-10, atol=1e-10)
    if bias:
        torch.testing.assert_close(layer.bias.grad, other.bias.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("before", "after", "kernel", "stride"),
    [(1, 64, 32, 1), (64, 64, 5, 1), (64, 64, 32, 3), (64, 64, 16, 2)],
)
def test_what_would_be_slower_is_left_to_torch(
    before: int, after: int, kernel: int, stride: int
) -> None:
    layer = LongConv(before, after, kernel, stride=stride)
    assert not layer.fast
    x = torch.randn(2, before, 1, 100)
    with torch.no_grad():
        expected = torch.nn.functional.conv2d(x, layer.weight, layer.bias, layer.stride)
        assert torch.equal(layer(x), expected)


def test_autocast_rounds_no_more_than_twice_what_torch_does() -> None:
    torch.manual_seed(2)
    layer = LongConv(64, 64, 32)
    # with a mean, as behind a ReLU: frequency zero is far larger than the others
    x = torch.randn(4, 64, 1, 300).relu()
    with torch.no_grad():
        exact = plain(layer)(x.double())
        with torch.autocast("cpu", torch.bfloat16):
            ours = layer(x)
            theirs = torch.nn.functional.conv2d(x, layer.weight)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    error, usual = ((y.double() - exact).norm() / exact.norm() for y in (ours, theirs))
    assert error < 2 * usual


def test_what_follows_may_write_into_the_outcome() -> None:
    """ReLU in place, and the gradient is right nevertheless."""
    torch.manual_seed(3)
    layer = same_conv(16, 16, 32, norm=False)
    x = torch.randn(2, 16, 1, 97, requires_grad=True)
    torch.relu_(layer(x)).sum().backward()
    inplace, x.grad = x.grad, None
    torch.relu(layer(x)).sum().backward()
    assert torch.equal(inplace, x.grad)


def test_exported_networks_hold_plain_convolutions(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    network = build("unet", n_channels_in=1, n_grid=96, n_elements=5, head=(8,)).eval()
    assert sum(isinstance(m, LongConv) and m.fast for m in network.modules()) > 5
    x = torch.rand(2, 1, 96)
    path = tmp_path / "unet.onnx"
    _write_onnx(network, path, x.numpy())
    kinds = [node.op_type for node in onnx.load(str(path)).graph.node]
    convolutions = sum(isinstance(m, LongConv) for m in network.modules())
    assert kinds.count("Conv") == convolutions
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"spectrum": x.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.as_tensor(found), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_stays_with_the_process() -> None:
    """An array as large as one that was freed needs no pages of the system again."""
    code = (
        "import resource, torch\n"
        "from coreloss.training.allocation import keep_freed_memory\n"
        "if not keep_freed_memory(): raise SystemExit\n"
        "for _ in range(10): torch.ones(25_000_000)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(20): torch.ones(25_000_000)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    if not found.stdout:
        pytest.skip("no glibc here")
    # 100 MB twenty times are 488,000 pages of 4 KiB
    assert int(found.stdout) < 20_000
