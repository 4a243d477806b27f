"""The first lines of a program: parameters and their gradients as variables, stacked ones cut apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from .expression import Symbol, ends
from .lines import Formula

if TYPE_CHECKING:
    from .derivation import Derivation

__all__ = ["Unpacking"]


class Unpacking:
    """How the parameters of a derivation become variables.

    Args:
        derivation: whose parameters they are.
        variables: the variable of each symbol.
        lines: the forward lines, in whose order the parameters come.
    """

    def __init__(self, derivation: Derivation, variables: dict[Symbol, str], lines: Sequence[Formula]) -> None:
        self.of, self.variables, self.lines = derivation, variables, lines

    def _variable(self, symbol: Symbol) -> str:
        return self.variables[symbol]

    def parameters_of(self, line: Formula) -> list[str]:
        """The parameters that a line reads, from left to right."""
        return [symbol.name for symbol in ends(line.formula) if symbol.time is None and not symbol.loss]

    def parameters_in(self, lines: Iterable[Formula]) -> list[str]:
        """The parameters that lines read, in the order of the forward lines, those of one line together."""
        read = {name for line in lines for name in self.parameters_of(line)}
        return [name for name in dict.fromkeys(s.name for s in self.of.parameter_symbols()) if name in read]

    def unpacked(self, lines: Iterable[Formula]) -> list[str]:
        """The parameters that lines read, as variables."""
        names = self.parameters_in(lines)
        code: list[str] = []
        whole = [name for name in names if self.of.parameter(name).cut is None]
        for line in self.lines:
            group = [name for name in dict.fromkeys(self.parameters_of(line)) if name in whole]
            whole = [name for name in whole if name not in group]
            code += self._assigned(group)
        code += self._assigned(whole)
        cut = [name for name in names if self.of.parameter(name).cut is not None]
        for key in dict.fromkeys(self.of.parameter(name).key for name in cut):
            code += self._split(key, f'params["{key}"]', lambda name: self._variable(Symbol(name)))
        return code

    def _assigned(self, names: Sequence[str]) -> list[str]:
        if not names:
            return []
        variables = ", ".join(self._variable(Symbol(name)) for name in names)
        arrays = ", ".join(f'params["{self.of.parameter(name).key}"]' for name in names)
        return [f"{variables} = {arrays}"]

    def views(self) -> list[str]:
        """Parts of the gradients of stacked matrices."""
        keys = dict.fromkeys(p.key for p in self.of.parameters if p.cut is not None and p.wants)
        return [
            line
            for key in keys
            for line in self._split(key, f'dp["{key}"]', lambda name: self._variable(Symbol(name, None, "L")))
        ]

    def _split(self, key: str, whole: str, variable: Callable[[str], str]) -> list[str]:
        """The parts of a stacked matrix, which are views of it."""
        found = sorted((p for p in self.of.parameters if p.key == key and p.cut is not None), key=lambda p: p.cut or ())
        cuts = [p.cut for p in found if p.cut is not None]
        names = [variable(p.name) for p in found]
        axis, start, stop = cuts[0]
        size, total = stop - start, found[0].size
        tiles = [(axis, start, start + size) for start in range(0, total, size)]
        if total % size == 0 and set(cuts) <= set(tiles):
            variables = dict(zip(cuts, names, strict=True))
            along = f", axis={axis}" if axis else ""
            return [f"{', '.join(variables.get(tile, '_') for tile in tiles)} = np.split({whole}, {len(tiles)}{along})"]
        return [
            f"{name} = {whole}[{', '.join([':'] * axis + [f'{start}:{stop}'])}]"
            for name, (axis, start, stop) in zip(names, cuts, strict=True)
        ]
