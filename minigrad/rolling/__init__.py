"""Loops over time that are recorded as one operation, run as fast as by hand, and written out when somebody looks.

| file | holds |
| --- | --- |
| recording.py | one step as data: its operations, and where their operands come from |
| derivation.py | the backward pass of one step, recorded by running each operation's own derivative once |
| into.py | how an operation is computed into an array that is there already |
| plan.py | when each operation of a step is computed, and where its result lies |
| program.py | a step as a list of calls, and the loop that makes them |
| loop.py | all steps as one operation of the graph, and its results |
| rolled.py | `roll`, which records a step, computes all of them and places them in the graph |
| unfolding.py | the operations of every step, written out |
"""

from minigrad.rolling.rolled import Memory, Rolled, roll

__all__ = ["Memory", "Rolled", "roll"]
