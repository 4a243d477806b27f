"""The characters that lines are drawn with in a terminal, and what stands in for those that are not ASCII."""

from __future__ import annotations

import unicodedata

from .blocks import columns

__all__ = ["GLYPHS", "in_ascii"]

GLYPHS = " ╶╺╴─╼╸╾━╷┌┍┐┬┮┑┭┯╻┎┏┒┰┲┓┱┳╵└┕┘┴┶┙┵┷│├┝┤┼┾┥┽┿╽┟┢┧╁╆┪╅╈╹┖┗┚┸┺┛┹┻╿┞┡┦╀╄┩╃╇┃┠┣┨╂╊┫╉╋"
"""By how heavy the arms of a character are, 0 to 2: upwards, downwards, to the left and to the right, in base 3."""
LIKENESS = {
    **dict.fromkeys("─╴╶╸╺╼╾−", "-"), **dict.fromkeys("│╵╷╹╻╽╿‖", "|"), **dict.fromkeys("⊙×", "*"),
    **dict.fromkeys("⋯·░", "."), **dict.fromkeys("▁▂▃", "_"), **dict.fromkeys("▄▅▆▒", "="), **dict.fromkeys("▇█▓", "#"),
    **dict(zip("━┃┄┆▶◀▲▼●÷∂√∇✂", "=H.:><^vo/dVDx", strict=True)),
}  # fmt: skip


def in_ascii(text: str) -> str:
    """The text in ASCII; what has no likeness there becomes a question mark.

    >>> in_ascii("┌ c₁ ━▶ tanh")
    '+ c1 => tanh'
    """
    return "".join(c if c.isascii() else _likeness(c) for c in text)


def _likeness(character: str) -> str:
    if character in LIKENESS:
        return LIKENESS[character]
    if character in GLYPHS or character in "╭╮╰╯":
        return "+"
    if unicodedata.combining(character):
        return ""
    name = unicodedata.name(character, "")
    if " LETTER " in name:
        last = name.split(" LETTER ")[1][0]
        return last.lower() if " SMALL " in name else last
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()[:1] or "?" * columns(character)
