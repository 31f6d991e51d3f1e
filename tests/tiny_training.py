"""A training recipe of seconds, and the weights that a run left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from coreloss.training import checkpoint

_RECIPE = """
[simulation]
base = "{base}"

[network]
name = "compact"
widths = [8, 8, 8, 8]
blocks = [1, 1, 1, 1]
kernels = [3, 3, 3, 3]
head = [4, 16]
dropout = {dropout}

[training]
spectra = {spectra}
batch_size = {batch}
chunk = {batch}
warm_up = {batch}
ema = 0.9
bf16 = false
validation_spectra = 64
validate_every = {validate_every}
checkpoint_seconds = 0.0
"""


def tiny_recipe(
    base: str, spectra: int, batch: int, validate_every: int, *, dropout: float = 0.1
) -> str:
    """The text of a recipe; a chunk is one batch. More lines of [training] may follow it."""
    return _RECIPE.format(
        base=base, spectra=spectra, batch=batch, validate_every=validate_every, dropout=dropout
    )


def weights(run: Path, *names: str) -> dict[str, Any]:
    """Of a run's newest checkpoint: of the 'network', their 'mean', or both."""
    newest = checkpoint.latest(run)
    assert newest is not None
    return {
        f"{name} {key}": value
        for name in names or ("network", "mean")
        for key, value in load_file(newest / f"{name}.safetensors").items()
    }
