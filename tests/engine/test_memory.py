"""What importing minigrad does to the memory of the process."""

import platform
import subprocess
import sys

import pytest

MEASURE = """
import resource
import numpy as np
{setup}

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

np.ones(2**18)
before = faults()
for _ in range(10):
    np.ones(2**18)
print(faults() - before)
"""


def faults_of_ten_arrays(setup: str) -> int:
    """How often the system had to hand out a page while ten arrays of 2 MB were made and freed one after the other."""
    program = [sys.executable, "-c", MEASURE.format(setup=setup)]
    return int(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc hands freed memory back so soon")
def test_freed_arrays_stay_with_the_process_and_are_not_faulted_in_again() -> None:
    assert faults_of_ten_arrays("from minigrad.memory import keep_freed_memory") < 100


def test_keeping_freed_memory_touches_none() -> None:
    program = (
        "import resource; import minigrad.memory as m; size = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "before = size(); m.keep_freed_memory(); print(size() - before)"
    )
    grown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert int(grown) < 1024  # kilobytes
