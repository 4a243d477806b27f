"""How fast and how lean: minigrad against hand-written NumPy, and against every other framework that is installed.

`python -m benchmarks` (or `make bench`) measures; `python -m benchmarks.tables` makes the README's table of the results.
"""
