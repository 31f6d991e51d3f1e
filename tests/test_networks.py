"""Architectures."""

from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from test_architectures import SMALL  # noqa: E402

from coreloss.networks import build, list_networks  # noqa: E402


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_unet_has_the_published_size() -> None:
    unet = build("unet", n_channels_in=1, n_grid=3072, n_elements=80)
    assert parameters(unet) == pytest.approx(19.8e6, rel=0.02)


def test_compact_network_has_at_most_five_million_parameters() -> None:
    assert parameters(build("compact", n_channels_in=5, n_grid=1600, n_elements=83)) < 5e6


@pytest.mark.parametrize("name", list_networks())
def test_every_network_gives_logits_and_gradients(name: str) -> None:
    network = build(name, n_channels_in=5, n_grid=320, n_elements=83, **SMALL.get(name, {}))
    logits = network(torch.randn(3, 5, 320))
    assert logits.shape == (3, 83)
    logits.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("name", list_networks())
def test_place_matters(name: str) -> None:
    """The same feature elsewhere on the axis must be able to mean something else."""
    a, b = torch.zeros(1, 1, 320), torch.zeros(1, 1, 320)
    a[..., 64:80] = 1.0
    b[..., 128:144] = 1.0
    differ = []
    for seed in range(4):  # a small network may start with all of a layer's units off
        torch.manual_seed(seed)
        network = build(name, n_channels_in=1, n_grid=320, n_elements=4, **SMALL.get(name, {}))
        network.eval()
        with torch.no_grad():
            differ.append(not torch.allclose(network(a), network(b), atol=1e-5))
    assert any(differ)


def test_grids_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        build("compact", n_channels_in=1, n_grid=1000, n_elements=83)
    with pytest.raises(ValueError, match="multiple of 16"):
        build("unet", n_channels_in=1, n_grid=1001, n_elements=83)
    with pytest.raises(ValueError, match="compact, mlp, resnet, unet"):
        build("transformer", n_channels_in=1, n_grid=320, n_elements=83)


def test_light_paths_import_no_torch() -> None:
    code = (
        "import sys, coreloss, coreloss.cli, coreloss.networks, coreloss.simulate, coreloss.io, "
        "coreloss.identification, coreloss.evaluate, coreloss.plot, coreloss.training; "
        "bad = {'torch', 'hyperspy', 'sklearn', 'scipy', 'dask'} & set(sys.modules); "
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
