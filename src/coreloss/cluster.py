"""What is done on the workers of a dask.distributed cluster, whatever the work is."""

from __future__ import annotations

from typing import Any

__all__ = ["DIED", "WAIT_S", "connected", "no_workers"]

#: How long a scheduler, and its first worker, are waited for [s].
WAIT_S = 20.0
#: What is said where the same piece of work was several workers' last.
DIED = (
    "the cluster's workers died several times over the same spectra, as for want of memory; give "
    "them more"
)


def connected(address: str) -> Any:
    """A client of the scheduler at an address, 'tcp://host:8786'.

    Raises
    ------
    ImportError
        Without dask.distributed.
    ValueError
        Where no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ImportError(
            "--scheduler needs dask.distributed; install it with: "
            "pip install 'coreloss[distributed]'"
        ) from None
    try:
        return Client(address, timeout=WAIT_S, set_as_default=False)
    except (OSError, ValueError) as error:  # a TimeoutError is an OSError
        first = str(error).partition("\n")[0]
        raise ValueError(
            f"no dask scheduler answers at {address!r} ({first}); start "
            "one with 'dask scheduler' and give its address"
        ) from None


def no_workers(address: str) -> OSError:
    """What is said of a cluster without any."""
    return OSError(
        f"the cluster at {address} has no workers; start some with 'dask worker {address}'"
    )
