"""Loops over time that are recorded as one operation, run as fast as by hand, and written out when somebody looks.

| file | holds |
| --- | --- |
| recording.py | one step as data: its operations, and where their operands come from |
| derivation.py | the backward pass of one step, recorded by running each operation's own derivative once |
| simplifying.py | algebra that takes work out of the loop of a backward pass |
| schedule.py | which operations are computed for all steps at once, and which in the loop |
| layout.py | where the results lie |
| into.py | how an operation is computed into an array that is there already |
| plan.py | the calls, one for several operations where that can be |
| program.py | a step as a list of calls, and the loop that makes them |
| workspace.py | the arrays that a run computes in, kept for the next one if they are small |
| loop.py | all steps as one operation of the graph, and its results |
| rolled.py | `roll`, which records a step, computes all of them and places them in the graph |
| unfolding.py | the operations of every step, written out |
"""

from minigrad.loops.rolled import Memory, Rolled, roll

__all__ = ["Memory", "Rolled", "roll"]
