"""Reading real text, and saying clearly what is wrong with it when there is something."""

import hashlib
import os
import sysconfig
from pathlib import Path

from minigrad.arguments import count
from minigrad.arguments import text as words
from minigrad.errors import ArgumentError, MinigradError
from minigrad.files import as_path

from .checks import is_number

__all__ = ["TextError", "held_out_split", "python_sources", "read_text"]


class TextError(MinigradError, ValueError):
    """A text cannot be read or is too short; the message names the file and says what to do."""


def read_text(path: str | os.PathLike[str], *, limit: int | None = None) -> str:
    """The text of a UTF-8 file, with a byte-order mark dropped and every line ending turned into a newline.

    Args:
        path: a file of text. A pipe is read too.
        limit: read at most this many characters, and never more of the file than that takes.

    Raises:
        TextError: the file is missing, a folder, not permitted, empty, binary, in another encoding than UTF-8 or one
            character long.

    >>> read_text("no-such-file.txt")
    Traceback (most recent call last):
    ...
    minigrad.models.text.TextError: no-such-file.txt does not exist; give the path of a text file
    """
    as_path(path, "read_text")
    if limit is not None:
        count(limit, "read_text: limit", 0, 2**40)
    name = str(path) or "the text with the empty path"
    try:
        data = _read_bytes(Path(path), None if limit is None else 4 * limit + 4)
    except FileNotFoundError:
        raise TextError(f"{name} does not exist; give the path of a text file") from None
    except IsADirectoryError:
        raise TextError(f"{name} is a folder; give the path of a text file in it") from None
    except PermissionError:
        raise TextError(f"{name} may not be read; change its permissions or give another file") from None
    except (OSError, ValueError) as problem:
        raise TextError(f"{name} cannot be read ({problem}); give the path of a text file") from None
    text = _decode(data, name, cut=limit is not None and len(data) >= 4 * limit + 4)
    if limit is not None:
        text = text[:limit]
    if len(text) < 2:
        amount = "is empty" if not text else "holds a single character"
        raise TextError(f"{name} {amount}; a language model needs at least two characters, better a million")
    return text


def python_sources(characters: int) -> str:
    """Text from the Python source files of the running interpreter's own standard library.

    The files at its top level are put together in the order of a hash of their names: a mixture that has nothing to do
    with the alphabet and is the same on every run.

    Args:
        characters: how many to return; fewer when the library has fewer.

    Raises:
        ArgumentError: ``characters`` is not positive.
        TextError: this interpreter has no source files, as in some frozen or zipped installations.

    >>> len(python_sources(1000))
    1000
    """
    characters = count(characters, "python_sources: characters", 1)
    folder = Path(sysconfig.get_path("stdlib"))
    parts: list[str] = []
    missing = characters
    for file in sorted(folder.glob("*.py"), key=lambda file: hashlib.sha256(file.name.encode()).digest()):
        try:
            part = read_text(file)
        except TextError:
            continue
        parts.append(part[:missing])
        missing -= len(parts[-1])
        if not missing:
            break
    if not parts:
        raise TextError(f"{folder} has no Python source files; give a text file of your own")
    return "".join(parts)


def held_out_split(text: str, held_out: float = 0.1, *, shortest: int = 2, name: str = "the text") -> tuple[str, str]:
    """The beginning of a text to learn from, and its end, never seen in training, to be judged by.

    Args:
        text: the whole text, n characters.
        held_out: the share of the end, above 0 and below 1. At least 2 characters are held out.
        shortest: how many characters the training part must have at least.
        name: what an error calls the text, usually its path.

    Raises:
        ArgumentError: the share is not between 0 and 1.
        TextError: too little is left to learn from.

    >>> held_out_split("abcdefghij", 0.3)
    ('abcdefg', 'hij')
    """
    words(text, "held_out_split")
    count(shortest, "held_out_split: shortest")
    if not is_number(held_out) or not 0 < held_out < 1:
        raise ArgumentError(f"held_out={held_out}: the share held out must lie between 0 and 1, 0.1 for example")
    end = max(round(held_out * len(text)), 2)
    if len(text) - end < shortest:
        raise TextError(
            f"{name} is too short: {len(text)} characters, {end} of them held out, leave {max(len(text) - end, 0)} "
            f"to learn from, and at least {shortest} are needed; give a longer text or a shorter sequence length"
        )
    return text[:-end], text[-end:]


def _read_bytes(path: Path, limit: int | None) -> bytes:
    with path.open("rb") as file:
        return file.read(-1 if limit is None else limit)


def _decode(data: bytes, name: str, *, cut: bool) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TextError(f"{name} is UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 {name}")
    if b"\0" in data:
        raise TextError(f"{name} is a binary file (it has a zero byte at {data.index(0)}); give a file of text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        if not (cut and problem.start >= len(data) - 4):
            raise TextError(
                f"{name} is not UTF-8 (byte 0x{data[problem.start]:02x} at {problem.start}); if it is Latin-1, "
                f"convert it: iconv -f LATIN1 -t UTF-8 {name}"
            ) from None
        text = data[: problem.start].decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")
