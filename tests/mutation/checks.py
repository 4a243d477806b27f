"""Mistakes in the checks of backward passes derived by hand."""

from mutation.engine import rows

MUTANTS = [
    *rows(
        "checks/run",
        ("what the step after hands back is forgotten", "class Run", "total = plus(total, self.carried(line))", "pass"),
        ("a mistake in one gate's derivation is made in all", "class Run", "change.context != plain", "False"),
    ),
]
