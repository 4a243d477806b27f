"""Loops over time, compiled: traced once, derived, and run over arrays as a loop written by hand would.

Each pass takes a loop program and returns one; README.md in this folder takes an LSTM step through all of them.

| file | holds |
| --- | --- |
| program.py | a step as a program: lines of operations on xs, carry, consts and locals |
| trace.py | the step, run once on Tensors that stand for its operands; what depends on consts alone is hoisted |
| purity/ | whether a step may be run once for all: what it does, may use, and reads |
| differentiate.py | the backward pass of a step, by the operations' own vjp, as a program too |
| activity.py | what depends on what wants a gradient, and what is sent one |
| simplify.py | algebra that takes factors out of the body of a backward pass |
| schedule.py | prologue, body, epilogue |
| buffers.py | where every result lies: liveness, parts side by side |
| fuse.py | neighbouring lines that one call can do |
| kernels.py | the NumPy backend's table from opcode to kernel |
| backend.py | the loop itself, over one run's arrays |
| pool.py | those arrays, kept for the next run if they are small |
| native/ | the schedule as native code instead, for those who ask for it |
| emit.py, sums_last.py | one step, forward and backward, as a C file |
| compile.py | all passes one after the other, remembered by structure |
| traced.py | a traced step with what later runs of its loop need |
| execute.py | tracing and running a loop |
| running.py | the start of a loop, and the place of its results in the graph |
| recorded.py | its backward pass as a loop that is recorded too: derivatives of any order |
| explain.py | which loops are compiled, and why others are not |
| observe.py | a backward run that keeps the cotangents of chosen values at every step |
| loop.py | all steps as one operation of the graph, with several results |
| windows.py | truncation that is counted for each example by itself |
| written.py | the operations of every step, written out when somebody looks |
"""

from minigrad.loops.execute import Memory, execute
from minigrad.loops.explain import LoopReport, explain_loop, note
from minigrad.loops.loop import padded
from minigrad.loops.program import CannotCompile
from minigrad.loops.purity.effects import without_effects
from minigrad.loops.trace import untraced
from minigrad.loops.windows import WINDOWS, cut_where
from minigrad.loops.written import MASK

__all__ = [
    "MASK", "WINDOWS", "CannotCompile", "LoopReport", "Memory", "cut_where", "execute", "explain_loop", "note",
    "padded", "untraced", "without_effects",
]  # fmt: skip
