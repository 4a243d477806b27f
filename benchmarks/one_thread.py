"""One thread for everybody: read by the numerical libraries when they are first imported, so this goes first."""

from __future__ import annotations

import os
import sys

SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def use_one_thread() -> None:
    """Set the environment; too late, and refused, when NumPy has been imported with other settings."""
    late = "numpy" in sys.modules and os.environ.get("OMP_NUM_THREADS") != "1"
    if late:
        raise SystemExit("benchmarks: NumPy was imported before its threads were set; run `python -m benchmarks`")
    os.environ.update(SETTINGS)
