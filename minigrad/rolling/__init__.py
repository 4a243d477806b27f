"""Loops over time that are recorded as one operation, run as fast as by hand, and written out when somebody looks.

| file | holds |
| --- | --- |
| recording.py | one step as data: its operations, and where their operands come from |
| derivation.py | the backward pass of one step, recorded by running each operation's own derivative once |
| into.py | how an operation is computed into an array that is there already |
| program.py | a step as a list of calls, and the loop that makes them |
| loop.py | the operation in the graph |
| unfolding.py | the operations of every step, written out |
"""

from minigrad.rolling.loop import Memory, Rolled, roll

__all__ = ["Memory", "Rolled", "roll"]
