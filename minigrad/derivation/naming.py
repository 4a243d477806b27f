"""Names in formulas and programs: given out once each, and spelled out in the letters of a program."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterable

__all__ = ["MARKS", "Names", "ascii_name", "spelled"]

MARKS = {"\u0303": "tilde", "\u0302": "hat", "\u0304": "bar", "\u0307": "dot"}
"""The marks above letters that formulas use, by the names that LaTeX has for them."""


def spelled(letter: str) -> str:
    """The name of a Greek letter, as LaTeX has it; "" for any other.

    >>> spelled("γ"), spelled("Γ"), spelled("g")
    ('gamma', 'Gamma', '')
    """
    words = unicodedata.name(letter, "").split()
    if words[:1] != ["GREEK"] or "LETTER" not in words:
        return ""
    name = words[-1].lower().replace("lamda", "lambda")
    return name.capitalize() if "CAPITAL" in words else name


def ascii_name(name: str) -> str:
    """A name of the formulas as a name in a program.

    >>> ascii_name("c̃"), ascii_name("Γ_u"), ascii_name("layer 1/h"), ascii_name("in")
    ('c_tilde', 'Gamma_u', 'layer_1_h', 'in_')
    """
    words = []
    for letter in unicodedata.normalize("NFD", name):
        mark = MARKS.get(letter)
        words.append(f"_{mark}" if mark else spelled(letter) or (letter if letter.isalnum() or letter == "_" else "_"))
    joined = "".join(words)
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
