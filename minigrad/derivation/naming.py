"""What the values of a step are called in a derivation: as in the code, and where the code has no name, by what they are for."""

from __future__ import annotations

import keyword
from collections.abc import Iterable

__all__ = ["Names", "ascii_name"]

MARKS = {"\u0303": "_tilde", "\u0302": "_hat", "\u0304": "_bar", "\u0307": "_dot", "′": "_prime", "'": "_prime"}
GREEK = dict(
    zip(
        "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda_ mu nu xi pi rho sigma tau upsilon phi chi psi omega "
        "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(),
        strict=True,
    )
)


def ascii_name(name: str) -> str:
    """A name of the formulas as a name in a program.

    >>> ascii_name("c̃"), ascii_name("Γ_u"), ascii_name("layer 1/h"), ascii_name("in")
    ('c_tilde', 'Gamma_u', 'layer_1_h', 'in_')
    """
    letters = [MARKS.get(letter, GREEK.get(letter, letter)) for letter in name]
    joined = "".join(letter if letter.isalnum() or letter == "_" or len(letter) > 1 else "_" for letter in letters)
    joined = joined if joined[:1].isidentifier() else f"_{joined}"
    return f"{joined}_" if keyword.iskeyword(joined) else joined


class Names:
    """Names that are given out once each; those that are asked for again are numbered.

    >>> names = Names(taken=("W",))
    >>> names.new("h"), names.new("h"), names.new("W")
    ('h', 'h_2', 'W_2')
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def new(self, wanted: str) -> str:
        """The name, or the first one like it that is not taken."""
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name
