"""A language model, its vocabulary and its training in one file: saved, loaded, resumed to the bit.

>>> import tempfile
>>> from minigrad.optim import Adam
>>> from minigrad.models.streams import Streams
>>> vocabulary = Vocabulary.from_text("to be or not to be ")
>>> def fresh_trainer():
...     model = LanguageModel(len(vocabulary), hidden_size=8, cell="gru", seed=0)
...     streams = Streams(vocabulary.encode("to be or not to be " * 20), batch=2, steps=10)
...     return Trainer(model, streams, Adam(model.parameters(), lr=0.02))
>>> stopped, resumed, uninterrupted = fresh_trainer(), fresh_trainer(), fresh_trainer()
>>> with tempfile.TemporaryDirectory() as folder:
...     _ = stopped.run(updates=15)
...     save_training(f"{folder}/training.npz", stopped, vocabulary)
...     _ = resume_training(f"{folder}/training.npz", resumed, vocabulary)
...     model, letters, _ = load_language_model(f"{folder}/training.npz")
>>> _, _ = resumed.run(updates=40), uninterrupted.run(updates=40)
>>> resumed.log == uninterrupted.log, len(resumed.losses)
(True, 40)
>>> letters == vocabulary, model.state_dict().keys() == resumed.model.state_dict().keys()
(True, True)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

import numpy as np

from minigrad.checkpoint import load_checkpoint, load_notes, save_checkpoint
from minigrad.errors import ArgumentError, CheckpointError, DTypeError, MinigradError
from minigrad.files import StrPath

from .cells import CELLS
from .language import LanguageModel
from .layers import RecurrentLayers
from .training import Trainer
from .vocabulary import Vocabulary

__all__ = ["SavedModel", "load_language_model", "resume_training", "save_language_model", "save_training"]

_SIZES = ("vocabulary_size", "hidden_size", "embedding_size", "cell", "dtype", "tied", "num_layers", "options")
_SINGLE = {"num_layers": 1, "options": {}}
_DTYPES = ("float32", "float64")


class SavedModel(NamedTuple):
    """A language model out of a file."""

    model: LanguageModel
    vocabulary: Vocabulary | None
    notes: dict[str, Any]


def save_language_model(
    path: StrPath, model: LanguageModel, vocabulary: Vocabulary | None = None, notes: Mapping[str, Any] | None = None
) -> None:
    """Write a model and all that is needed to read and write text with it again.

    Args:
        path: the file, ``something.npz`` or ``something.safetensors``; replaced if it is there, in one piece.
        model: with any cell.
        vocabulary: what its symbols are.
        notes: anything that JSON can hold.

    Raises:
        CheckpointError: the file cannot be written, or the model holds NaN or infinity.
        DTypeError: an argument is of another kind.
    """
    save_checkpoint(path, model, notes=_notes("save_language_model", model, vocabulary, notes))


def save_training(
    path: StrPath, trainer: Trainer, vocabulary: Vocabulary | None = None, notes: Mapping[str, Any] | None = None
) -> None:
    """Write all that a training needs to go on bit for bit: what `save_language_model` does, and the state of the training.

    That is the optimiser's memory and options, the schedule, the state carried from chunk to chunk, the random numbers of
    the model and how many updates have been made.
    """
    _expect("save_training", trainer, Trainer)
    if not isinstance(trainer.model, LanguageModel):
        raise ArgumentError(f"save_training: expected the training of a LanguageModel, got {type(trainer.model).__name__}")
    trainer.save(path, _notes("save_training", trainer.model, vocabulary, notes))


def resume_training(path: StrPath, trainer: Trainer, vocabulary: Vocabulary | None = None) -> dict[str, Any]:
    """Go on where the training that was saved stopped; returns the notes.

    Args:
        path: what `save_training` has written.
        trainer: with a model, streams and an optimiser of the same kinds and sizes; what they hold is replaced.
        vocabulary: the one the streams were encoded with, to be sure that it is the one that was saved.

    Raises:
        CheckpointError: missing, damaged, or of another model, optimiser, text cut in another way or vocabulary; all
            problems are listed and nothing has changed.
    """
    _expect("resume_training", trainer, Trainer)
    notes = _own_notes(path)
    if vocabulary is not None and notes["vocabulary"] != _as_json(vocabulary):
        raise CheckpointError(f"{path}: it was saved with another vocabulary; nothing has changed")
    trainer.load(path)
    return dict(notes["notes"])


def load_language_model(path: StrPath) -> SavedModel:
    """The model, the vocabulary and the notes that `save_language_model` or `save_training` have written.

    Raises:
        CheckpointError: missing, damaged, or not a language model.
    """
    notes = _own_notes(path)
    sizes = _checked_sizes(path, notes["model"])
    try:
        vocabulary = None if notes["vocabulary"] is None else Vocabulary(**_checked_vocabulary(notes["vocabulary"]))
    except MinigradError as problem:
        raise _unusable(path, f"its vocabulary cannot be used: {problem}") from None
    if vocabulary is not None and len(vocabulary) != sizes["vocabulary_size"]:
        raise _unusable(path, f"the model has {sizes['vocabulary_size']} symbols and the vocabulary {len(vocabulary)}")
    model = _made(path, sizes)
    load_checkpoint(path, model)
    return SavedModel(model, vocabulary, dict(notes["notes"]))


def _made(path: StrPath, sizes: dict[str, Any]) -> LanguageModel:
    try:
        return LanguageModel(**{name: size for name, size in sizes.items() if name != "options"}, **sizes["options"], seed=0)
    except (MinigradError, TypeError) as problem:
        raise _unusable(path, f"its model cannot be made: {problem}") from None


def _expect(where: str, given: object, *kinds: type[Any]) -> None:
    """Raise DTypeError for something of another kind."""
    if not isinstance(given, kinds):
        names = " or ".join("None" if kind is NoneType else f"a {kind.__name__}" for kind in kinds)
        raise DTypeError(f"{where}: expected {names}, got {given!r:.60}")


def _notes(
    where: str, model: LanguageModel, vocabulary: Vocabulary | None, notes: Mapping[str, Any] | None
) -> dict[str, Any]:
    _expect(where, model, LanguageModel)
    _expect(where, vocabulary, Vocabulary, NoneType)
    _expect(where, notes, Mapping, NoneType)
    cell: Any = model.cell.cells[0][0] if isinstance(model.cell, RecurrentLayers) else model.cell
    if type(cell) not in CELLS.values():
        raise ArgumentError(
            f"a {type(cell).__name__} cannot be made from a file: save the model with minigrad.checkpoint.save_checkpoint, and "
            "load it into one that you have made"
        )
    dtype = model.head.W_yh.dtype.name
    named = (model.vocabulary_size, model.hidden_size, model.embedding_size, cell.label, dtype, model.tied)
    sizes = dict(zip(_SIZES, (*named, model.num_layers, model.options), strict=True))
    return {"model": sizes, "vocabulary": None if vocabulary is None else _as_json(vocabulary), "notes": dict(notes or {})}


def _own_notes(path: StrPath) -> dict[str, Any]:
    notes = load_notes(path)
    if not all(isinstance(notes.get(key), dict) for key in ("model", "notes")) or "vocabulary" not in notes:
        raise _unusable(path, "it says nothing of a language model")
    return notes


def _checked_sizes(path: StrPath, sizes: Any) -> dict[str, Any]:
    """The arguments of LanguageModel, once they have turned out to describe a model that the file has room for."""
    sizes = _SINGLE | sizes
    N, H, D, cell, dtype, tied, layers, options = (sizes.get(name) for name in _SIZES)
    exists = all(type(n) is int and n >= 1 for n in (N, H, layers, *([] if D is None else [D])))
    exists = exists and isinstance(options, dict)
    exists = exists and (tied is False or (tied is True and D == H))
    if not exists or cell not in list(CELLS) or dtype not in _DTYPES or sizes.keys() != set(_SIZES):
        raise _unusable(path, f"it describes a language model that does not exist: {str(sizes)[:200]}")
    least = H * (H * layers + N + (N if D is None else D))
    if least * np.dtype(dtype).itemsize > Path(path).stat().st_size:
        raise _unusable(path, "it describes a language model larger than the file")
    return dict(sizes)


def _as_json(vocabulary: Vocabulary) -> dict[str, Any]:
    return {
        "symbols": list(vocabulary.symbols),
        "unit": vocabulary.unit,
        "unknown": vocabulary.unknown,
        "padding": vocabulary.padding,
    }


def _checked_vocabulary(saved: Any) -> dict[str, Any]:
    """The arguments of Vocabulary. Raises CheckpointError for anything else."""
    if not isinstance(saved, dict) or saved.keys() != {"symbols", "unit", "unknown", "padding"}:
        raise CheckpointError("it is not one")
    symbols, texts = saved["symbols"], (saved["unit"], saved["unknown"], saved["padding"])
    if not isinstance(symbols, list) or not all(isinstance(text, str) for text in symbols):
        raise CheckpointError("its symbols are not text")
    if not all(text is None or isinstance(text, str) for text in texts):
        raise CheckpointError("its special symbols are not text")
    return saved


def _unusable(path: StrPath, what: str) -> CheckpointError:
    return CheckpointError(f"{path} is no usable checkpoint: {what}; nothing has changed")
