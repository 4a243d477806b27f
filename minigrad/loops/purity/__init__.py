"""Whether the step of a loop is pure, so that one call of it may stand for all: looked at before, during and after a trace.

| when | file | asks |
| --- | --- | --- |
| before | reachable.py, names.py | what can its code get at: all that it has names for, and what hangs there? |
| | allowlist.py, c_objects.py | is all of that known to do nothing but return a result? |
| while it is traced | effects.py, snapshots.py | what did it change? That is put back, and the loop run step by step |
| when it is traced | prove.py | is the last step the same program as the first? |
| at the next call | assumptions.py | is all that its code reads as it was (torch.compile: guards)? Else it is traced anew |
"""
