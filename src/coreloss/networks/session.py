"""Networks in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.networks.packing import UNIT, pack_tightly

__all__ = ["open_session", "run_network"]

# Spectra at a time of a network that takes whole grids. The attention of the published vision
# transformer needs 50 MB a spectrum: more of them are slower, and soon more than there is.
_AT_ONCE = 16


def open_session(path: str | Path, threads: int = 0) -> Any:
    """The network of a file, on the processor; ``threads`` 0 takes all.

    Raises what ONNX Runtime raises, which is its own and undocumented.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised; its log would say them once more
    if threads:
        options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_network(session: Any, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (n, n_elements) of network inputs (n, channels, grid) float32.

    A network that takes packed rows gets the recorded parts alone; see
    `coreloss.networks.packing`. Raises what ONNX Runtime raises, and ValueError for a grid that
    cannot be packed.
    """
    if len(session.get_inputs()) == 1:
        said = [
            session.run(None, {"spectrum": inputs[begin : begin + _AT_ONCE]})[0]
            for begin in range(0, max(len(inputs), 1), _AT_ONCE)
        ]
        return np.concatenate(said)
    n, channels, grid = inputs.shape
    if grid % UNIT:
        raise ValueError(f"a grid of {grid} channels is no multiple of {UNIT}")
    pieces = inputs.reshape(n, channels, grid // UNIT, UNIT)
    plan = pack_tightly(np.any(pieces != 0, axis=(1, 3)))
    parts = np.zeros((plan.rows * plan.width, channels, UNIT), dtype=np.float32)
    parts[plan.place] = pieces.transpose(0, 2, 1, 3)[np.divmod(plan.home, grid // UNIT)]
    rows = parts.reshape(plan.rows, plan.width, channels, UNIT).transpose(0, 2, 1, 3)
    given = {
        "spectrum": np.ascontiguousarray(rows).reshape(plan.rows, channels, plan.width * UNIT),
        "unit": plan.unit,
        "source": plan.source,
    }
    out: NDArray[np.float32] = session.run(None, given)[0]
    return out
