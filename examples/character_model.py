"""From a text to a trained character model: how good it is, what it writes, and a proof that its gradients are right.

    make demo                       on Python's own standard library
    make demo TEXT=path/to/file     on a text of yours

The steps, in the order of `main`: read a text and hold its end out; train a recurrent language model by truncated
backpropagation through time; compare its perplexity with the uniform model's and with n-gram models'; draw a sample; prove
the hand-derived gradients against autograd on the trained weights; draw the unrolled network with its gradients.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from minigrad.models.cells import CELLS
from minigrad.models.checkpoints import save_training
from minigrad.models.interruption import deferred_interrupt
from minigrad.models.language import LanguageModel
from minigrad.models.ngram import NGram
from minigrad.models.progress import Progress
from minigrad.models.proof import as_table, compare_by_hand
from minigrad.models.streams import Streams
from minigrad.models.text import held_out_split, python_sources, read_text
from minigrad.models.training import Trainer, cosine
from minigrad.models.unrolling import unroll
from minigrad.models.vocabulary import UNKNOWN, IntArray, Vocabulary

from minigrad import viz
from minigrad.errors import CheckpointError, MinigradError, NonFiniteGradientError
from minigrad.optim import AdamW

INTERRUPTED = 130
"""The exit status of a program that Ctrl-C has ended: 128 + SIGINT."""


@dataclass(frozen=True)
class Corpus:
    """A text as numbers: what is learnt from, and what is held out."""

    name: str
    vocabulary: Vocabulary
    learn: IntArray
    judge: IntArray


def main(arguments: list[str] | None = None) -> int:
    """Run the whole path; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a character shows its number
    options = parse(arguments)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # told in words by what fails on it
            return run(options)
    except KeyboardInterrupt:
        return fail("stopped by Ctrl-C", INTERRUPTED)
    except MinigradError as problem:
        return fail(str(problem), 1)
    except MemoryError:
        return fail("there is not enough memory; a smaller --hidden, --batch, --seq-len or --characters needs less", 1)


def run(options: argparse.Namespace) -> int:
    """The steps; raises a MinigradError that says what is wrong and what to do."""
    began = time.monotonic()
    corpus = read(options)
    with output_folder(options.out) as folder:
        return experiment(corpus, folder, options, began)


def experiment(corpus: Corpus, folder: Path, options: argparse.Namespace, began: float) -> int:
    """Everything but reading the text; what is written goes to the folder."""
    model = LanguageModel(
        len(corpus.vocabulary),
        options.hidden,
        cell=options.cell,
        embedding_size=options.embedding,
        dtype=np.float32,
        seed=options.seed,
    )
    streams = Streams(
        corpus.learn,
        batch=min(options.batch, (len(corpus.learn) - 1) // options.seq_len),
        steps=options.seq_len,
    )
    describe(corpus, model, streams, options)

    optimizer = AdamW(model.parameters(), lr=options.lr, betas=(0.9, 0.99), weight_decay=options.weight_decay)
    trainer = Trainer(model, streams, optimizer, max_norm=options.clip)
    saved = folder / "model.npz"
    with deferred_interrupt() as interruption:
        try:
            with Progress() as progress:
                trainer.run(options.steps, seconds=options.seconds, schedule=cosine, progress=progress, unit="characters")
        except NonFiniteGradientError as problem:
            save_training(saved, trainer, corpus.vocabulary)
            return fail(f"{problem}. What was learnt before is saved in {saved}", 1)
        save_training(saved, trainer, corpus.vocabulary)
    if interruption.requested:
        return fail(f"stopped by Ctrl-C after {trainer.updates:,} updates; what was learnt is saved in {saved}", INTERRUPTED)

    try:
        report_perplexity(model, corpus, options)
        report_sample(model, corpus, options)
        proven = report_proof(model, corpus)
        picture = draw(model, corpus, folder)
    except KeyboardInterrupt:
        return fail(f"stopped by Ctrl-C after the training; what was learnt is saved in {saved}", INTERRUPTED)
    print(f"\nWritten: {saved}, {picture}  ({time.monotonic() - began:.0f} s in all)")
    return 0 if proven else fail("the hand-derived gradients differ from autograd's; see the table", 1)


# ---------------------------------------------------------------- the steps


def read(options: argparse.Namespace) -> Corpus:
    """Read the text, hold its end out, and number its characters."""
    if options.text is None:
        text, name = python_sources(options.characters), "Python's standard library"
    else:
        text, name = read_text(options.text, limit=options.characters), options.text
    learn, judge = held_out_split(text, 0.1, shortest=options.seq_len + 1, name=name)
    name = f"the beginning of {name}" if len(text) == options.characters else name
    vocabulary = Vocabulary.from_text(learn, min_count=1 + len(learn) // 100_000, unknown=UNKNOWN)
    return Corpus(name, vocabulary, vocabulary.encode(learn), vocabulary.encode(judge))


@contextmanager
def output_folder(path: str) -> Iterator[Path]:
    """The output folder, made if it is not there, and removed again if nothing was written.

    It is refused now rather than after the training if nothing can be written.
    """
    folder = Path(path)
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as problem:
            raise CheckpointError(
                f"the output folder {path} cannot be written ({problem.strerror}); give another one with --out"
            ) from None
        yield folder
    finally:
        with suppress(OSError):  # the first that is not empty, or not there
            for place in missing:
                place.rmdir()


def describe(corpus: Corpus, model: LanguageModel, streams: Streams, options: argparse.Namespace) -> None:
    """Say what is about to happen."""
    parameters = sum(parameter.size for parameter in model.parameters())
    print(f"Text      {len(corpus.learn) + len(corpus.judge):,} characters of {corpus.name}")
    print(f"          {len(corpus.learn):,} to learn from, the last {len(corpus.judge):,} held out")
    print(f"Symbols   {len(corpus.vocabulary)} characters, one of them for all that are rare")
    print(f"Model     {options.cell}, {options.hidden} hidden units, {parameters:,} parameters in float32")
    print(f"Training  {options.steps:,} updates, each on {streams.batch} streams × {streams.steps} time steps", flush=True)


def report_perplexity(model: LanguageModel, corpus: Corpus, options: argparse.Namespace) -> None:
    """The model beside the uniform one and interpolated Kneser–Ney, all on the same held-out text."""
    N = len(corpus.vocabulary)
    own = model.perplexity(corpus.judge, lanes=max(1, min(64, len(corpus.judge) // 500)))
    if not math.isfinite(own):
        raise NonFiniteGradientError(
            f"the trained model's perplexity is {own}: its weights have grown beyond all bounds; lower --lr or --clip"
        )
    ngrams = {
        f"{order}-gram, Kneser–Ney": NGram(corpus.learn, order=order, size=N).perplexity(corpus.judge)
        for order in range(1, options.order + 1)
    }
    print(f"\nHeld-out text       {'perplexity':>12}{'bits per character':>22}")
    for name, value in {"uniform": float(N), **ngrams, f"{options.cell} (this model)": own}.items():
        print(f"{name:<20}{value:>12.3f}{math.log2(value):>22.3f}")
    beaten = [name for name, value in ngrams.items() if own < value]
    if len(beaten) == len(ngrams):
        print(f"The {options.cell} beats every n-gram model up to order {options.order}.")
    else:
        print(f"The {options.cell} beats {len(beaten)} of {len(ngrams)} n-gram models; more --steps or --hidden may help.")


def report_sample(model: LanguageModel, corpus: Corpus, options: argparse.Namespace) -> None:
    """What the model writes."""
    prompt = options.prompt or ("\ndef " if options.text is None else "\n")
    encoded = corpus.vocabulary.encode(prompt)
    drawn = model.sample(options.sample, prompt=encoded, temperature=options.temperature, seed=options.seed)
    print(f"\nA sample, drawn at temperature {options.temperature:g} after {prompt!r}:\n")
    print(textwrap.indent((prompt + corpus.vocabulary.decode(drawn)).strip("\n").rstrip(), "    "))


def report_proof(model: LanguageModel, corpus: Corpus) -> bool:
    """Hand-derived backpropagation through time against autograd, on held-out text and the trained weights."""
    inputs, targets = excerpt(corpus, steps=25, batch=2)
    rows = compare_by_hand(model, inputs, targets)
    print("\nBackpropagation through time derived by hand, against autograd:")
    print(f"trained weights in float64, {inputs.shape[0]} time steps × {inputs.shape[1]} streams of held-out text\n")
    print(as_table(rows))
    return all(row.equal for row in rows)


def draw(model: LanguageModel, corpus: Corpus, folder: Path) -> Path:
    """The network unrolled over the first characters held out, its edges showing the gradient of the loss."""
    inputs, targets = excerpt(corpus, steps=5, batch=1)
    hs, _ = unroll(model.cell, model.embed(inputs))
    loss = model.head.loss(hs, targets)
    path = folder / "unrolled.svg"
    read, predicted = (corpus.vocabulary.decode(symbols) for symbols in (inputs, targets))
    viz.draw(loss, gradients=True, title=f"{model.cell.label}, trained, reads {read!r} and predicts {predicted!r}").save(path)
    return path


def excerpt(corpus: Corpus, steps: int, batch: int) -> tuple[IntArray, IntArray]:
    """Inputs and targets, each (T, B), from the held-out text, or as much of it as there is."""
    batch = min(batch, len(corpus.judge) - 1)
    chunk = Streams(corpus.judge, batch=batch, steps=min(steps, (len(corpus.judge) - 1) // batch))[0]
    return chunk.inputs, chunk.targets


# ---------------------------------------------------------------- the command line


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and leave with status 2."""
        sys.exit(fail(message, 2))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of the command."""
    parser = Parser(description="Train a character language model and prove its gradients.")
    add = parser.add_argument
    add("--text", metavar="PATH", help="a UTF-8 text file; Python's own standard library if left out")
    add("--characters", type=whole(1), default=500_000, help="how much of the text to use at most (%(default)s)")
    add("--cell", choices=list(CELLS), default="lstm", help="(%(default)s)")
    add("--hidden", type=whole(1, 100_000), default=192, help="hidden units (%(default)s)")
    add("--embedding", type=whole(1, 100_000), default=32, help="numbers that describe a character to the cell (%(default)s)")
    add("--steps", type=whole(1), default=6000, help="updates of the weights (%(default)s)")
    add("--seconds", type=number(), default=80, help="end the training after this time at the latest (%(default)s)")
    add("--seq-len", type=whole(1), default=32, help="time steps that gradients go back (%(default)s)")
    add("--batch", type=whole(1), default=16, help="streams read side by side (%(default)s)")
    add("--lr", type=number(), default=0.01, help="learning rate at its highest (%(default)s)")
    add("--weight-decay", type=number(zero=True), default=0.1, help="of AdamW (%(default)s)")
    add("--clip", type=number(), default=1.0, help="largest norm of a gradient (%(default)s)")
    add("--order", type=whole(1), default=5, help="of the longest n-gram to compare with (%(default)s)")
    add("--prompt", help="what the sample goes on from (a line break; in Python's library also 'def ')")
    add("--sample", type=whole(1), default=500, help="length of the sample (%(default)s)")
    add("--temperature", type=number(), default=0.7, help="of the sample; 1 is the model's own (%(default)s)")
    add("--seed", type=whole(0), default=0, help="of the initial weights and the sample (%(default)s)")
    add("--out", metavar="FOLDER", default="demo-output", help="where the weights and the picture go (%(default)s)")
    options = parser.parse_args(arguments)
    if options.prompt == "":
        parser.error("argument --prompt: the sample must go on from at least one character")
    return options


def whole(least: int, most: int = 10**9) -> Callable[[str], int]:
    """A converter to whole numbers from ``least`` to ``most``."""

    def convert(text: str) -> int:
        number = int(text) if text.isdecimal() and len(text) < 12 else -1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"a whole number from {least} to {most:,} is needed, not {text[:30]!r}")
        return number

    return convert


def number(zero: bool = False) -> Callable[[str], float]:
    """A converter to finite numbers above 0, or also to 0."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (0 < value < math.inf or (zero and value == 0)):
            raise argparse.ArgumentTypeError(f"a number {'of 0 or more' if zero else 'above 0'} is needed, not {text[:30]!r}")
        return value

    return convert


def fail(message: str, status: int) -> int:
    """Say on stderr what went wrong, in one message."""
    print(f"character_model: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
