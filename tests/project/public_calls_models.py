"""Right calls of what is public in models, training, checkpoints and pictures; see `public_calls`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from minigrad.models import by_hand, interop
from minigrad.models.attention import AdditiveAttention, DotAttention, make_attention
from minigrad.models.ngram import NGram
from minigrad.models.streams import Streams
from minigrad.models.text import held_out_split, python_sources, read_text
from minigrad.models.vocabulary import Vocabulary
from public_calls import XS, Call, Make, arguments_of, given, graph, tensor

import minigrad as mg
from minigrad import Parameter, checkpoint, models, optim, viz
from minigrad.optim import lr_scheduler

SYMBOLS = np.array([[0, 1], [2, 3], [4, 0]])
EXAMPLES = (np.ones((6, 3)), np.arange(6) % 2)
FOLDER = tempfile.TemporaryDirectory()
SIZES: dict[str, Make] = {
    "input_size": given(3), "hidden_size": given(4), "output_size": given(2), "cell": given("gru"), "vocabulary_size": given(5),
    "source_size": given(5), "target_size": given(6), "embedding_size": given(3), "start": given(0), "end": given(1),
    "query_size": given(3), "memory_size": given(3), "size": given(3), "name": given("gru"),
}  # fmt: skip


def file(name: str) -> Make:
    return lambda: Path(FOLDER.name) / name


def cells() -> Iterator[tuple[str, Call]]:
    over_time: dict[str, Make] = {
        "xs": given(XS), "state": given(None), "lengths": given([4, 2]), "mask": given(None), "hoist": given(False),
        "reverse": given(False), "truncated": given(None),
    }  # fmt: skip
    for kind in (models.RNN, models.GatedRNN, models.GRU, models.LSTM):
        def make(kind: Any = kind) -> Any:
            return kind(3, 4, seed=0)

        yield kind.__name__, (kind, arguments_of(kind, **SIZES))
        step = {"x": given(np.ones((2, 3))), "state": lambda make=make: make().initial_state(2)}
        yield f"{kind.__name__}.step", (lambda x, state, make=make: make().step(x, state), step)
        yield f"{kind.__name__}.initial_state", (lambda batch, make=make: make().initial_state(batch), {"batch": given(2)})
        yield f"unroll {kind.__name__}", (lambda make=make, **rest: models.unroll(make(), **rest), over_time)
        hand = getattr(by_hand, {"RNN": "rnn", "GatedRNN": "gated_rnn", "GRU": "gru", "LSTM": "lstm"}[kind.__name__])
        yield f"by_hand {kind.__name__}", (hand.forward, {"params": lambda make=make: make().by_gate(), "xs": given(XS)})
    yield "unroll", (lambda cell: models.unroll(cell, XS), {"cell": lambda: models.RNN(3, 4)})
    yield "LSTMState", (lambda c: models.unroll(models.LSTM(3, 4), XS, models.LSTMState(c, np.zeros((2, 4)))),
                        {"c": given(np.zeros((2, 4)))})  # fmt: skip
    yield "padded", (models.padded, {"sequences": given([np.ones((2, 3)), np.ones((4, 3))]), "padding": given(0)})
    yield "make_cell", (models.make_cell, arguments_of(models.make_cell, **SIZES))
    yield "detached", (models.detached, {"state": tensor(2, 3)})
    layers = {name: make for name, make in over_time.items() if name != "reverse"}
    yield "RecurrentLayers", (models.RecurrentLayers, arguments_of(models.RecurrentLayers, **SIZES))
    yield "layers()", (lambda **rest: models.RecurrentLayers("gru", 3, 4, seed=0)(**rest), layers)
    yield "layers.final_state", (models.RecurrentLayers("gru", 3, 4).final_state,
                                 {"states": given(np.ones((1, 2, 4))), "layer": given(-1)})  # fmt: skip
    yield "head()", (models.Head(4, 3, seed=0), {"hs": given(np.ones((2, 4)))})
    yield "Head", (models.Head, arguments_of(models.Head, **SIZES))


def whole_models() -> Iterator[tuple[str, Call]]:
    for kind in (models.OneToOne, models.OneToMany, models.ManyToOne, models.ManyToMany):
        yield kind.__name__, (kind, arguments_of(kind, **SIZES))
    yield "LanguageModel", (models.LanguageModel, arguments_of(models.LanguageModel, **SIZES))
    model = models.LanguageModel(5, 4, seed=0)
    read = {"symbols": given(SYMBOLS), "targets": given(SYMBOLS), "hoist": given(True)}
    yield "language model.loss", (model.loss, read | dict.fromkeys(("state", "lengths", "mask"), given(None)))
    yield "language model.distribution", (model.distribution, {"symbols": given(np.array([0, 1]))})
    yield "language model.perplexity", (model.perplexity, {"symbols": given(np.array([0, 1, 2])), "lanes": given(1)})
    yield "language model.sample", (model.sample, arguments_of(model.sample, length=given(2), prompt=given(np.array([0]))))
    yield "EncoderDecoder", (models.EncoderDecoder, arguments_of(models.EncoderDecoder, **SIZES))
    translator = models.EncoderDecoder("gru", 5, 6, embedding_size=3, hidden_size=4, start=0, end=1, seed=0)
    yield "encoder–decoder.loss", (translator.loss, {"xs": given(SYMBOLS), "ys": given(SYMBOLS)})
    for kind in (DotAttention, AdditiveAttention):
        yield kind.__name__, (kind, arguments_of(kind, **SIZES))
    named = SIZES | {"name": given("dot"), "dtype": given(float), "seed": given(0)}
    yield "make_attention", (make_attention, arguments_of(make_attention, **named))
    yield "NGram", (NGram, {"symbols": given(np.array([0, 1, 0])), "order": given(2), "size": given(2)})
    yield "Streams", (Streams, {"symbols": given(np.arange(9)), "batch": given(2), "steps": given(2)})
    yield "streams[k]", (Streams(np.arange(9), batch=2, steps=2).__getitem__, {"chunk": given(0)})
    yield "Vocabulary", (Vocabulary, arguments_of(Vocabulary, symbols=given("abc")))
    yield "Vocabulary.from_text", (Vocabulary.from_text, arguments_of(Vocabulary.from_text, text=given("abc")))
    for name, right in (("encode", "abc"), ("decode", [0, 1]), ("number", "a")):
        translate = getattr(Vocabulary("abc"), name)
        yield f"vocabulary.{name}", (lambda value, translate=translate: translate(value), {"value": given(right)})
    yield "held_out_split", (held_out_split, {"text": given("abcdefgh"), "held_out": given(0.3), "shortest": given(2)})
    yield "python_sources", (python_sources, {"characters": given(10)})
    yield "read_text", (read_text, {"path": given(__file__), "limit": given(10)})


def training() -> Iterator[tuple[str, Call]]:
    for kind in (optim.SGD, optim.Adagrad, optim.Adam, optim.AdamW, optim.RMSprop):
        yield kind.__name__, (kind, arguments_of(kind, params=lambda: [tensor(2)()]))

    def optimizer() -> Any:
        return optim.SGD([Parameter([1.0])], lr=0.1)

    yield "a group", (lambda group: optim.SGD([group], lr=0.1), {"group": lambda: {"params": [tensor(2)()]}})
    yield "optimizer.lr", (lambda lr: setattr(optimizer(), "lr", lr), {"lr": given(0.1)})
    yield "optimizer.load_state_dict", (optimizer().load_state_dict, {"saved": lambda: optimizer().state_dict()})
    steps: dict[str, Make] = {
        "optimizer": optimizer, "step_size": given(2), "gamma": given(0.5), "milestones": given([1]), "T_max": given(5),
        "lr_lambda": given(lambda t: 0.5), "start_factor": given(0.5), "total_iters": given(2),
    }  # fmt: skip
    for name in lr_scheduler.__all__:
        kind = getattr(lr_scheduler, name)
        if name not in ("LRScheduler", "SequentialLR"):
            yield name, (kind, arguments_of(kind, **steps))
    descent = optimizer()
    row = {"optimizer": given(descent), "schedulers": lambda: [lr_scheduler.StepLR(descent, 1)], "milestones": list}
    yield "SequentialLR", (lr_scheduler.SequentialLR, row)
    for name in ("clip_grad_norm_", "clip_grad_value_"):
        clip = getattr(optim, name)
        yield name, (clip, arguments_of(clip, parameters=lambda: [tensor(2)()], max_norm=given(1.0), clip_value=given(1.0)))
    batches = lambda inputs, targets, **rest: models.Batches(inputs, targets, **rest).batches(0)  # noqa: E731
    given_batches = arguments_of(models.Batches, inputs=given(EXAMPLES[0])) | {"targets": given(EXAMPLES[1])}
    yield "Batches", (lambda **rest: list(batches(**rest)), given_batches)

    def model() -> Any:
        return models.OneToOne("rnn", 3, 4, 2, seed=0)

    options = arguments_of(models.fit, data=given(EXAMPLES), model=model, epochs=given(1), progress=given(False))
    yield "fit", (models.fit, {name: make for name, make in options.items() if name not in ("schedule", "progress")})
    yield "evaluate", (models.evaluate, arguments_of(models.evaluate, model=model, data=given(EXAMPLES)))

    def trainer(**rest: Any) -> Any:
        trained = model()
        return models.Trainer(trained, optimizer=optim.SGD(trained.parameters()), **rest)

    yield "Trainer", (trainer, arguments_of(models.Trainer, data=given(EXAMPLES)))


def files() -> Iterator[tuple[str, Call]]:
    arrays, notes = {"arrays": lambda: {"a": np.ones(3)}}, {"notes": given({"b": 1})}
    checkpoint.save_arrays(file("arrays.npz")(), {"a": np.ones(3)})
    checkpoint.save_checkpoint(file("model.npz")(), models.RNN(3, 4))
    yield "save_arrays", (checkpoint.save_arrays, {"path": file("new.npz")} | arrays | notes)
    yield "an array", (lambda a: checkpoint.save_arrays(file("new.npz")(), {"a": a}), {"a": given(np.ones(3))})
    yield "load_arrays", (checkpoint.load_arrays, {"path": file("arrays.npz"), "expected": arrays["arrays"]})
    yield "load_notes", (checkpoint.load_notes, {"path": file("arrays.npz")})
    for name in ("save_checkpoint", "load_checkpoint"):
        right = {"path": file("model.npz"), "model": lambda: models.RNN(3, 4), "optimizer": given(None)}
        yield name, (getattr(checkpoint, name), right)
    layers: Callable[[], Any] = lambda: models.RecurrentLayers("lstm", 3, 4)  # noqa: E731
    for format in ("torch", "keras", "onnx"):
        write, read, load = (getattr(interop, f"{verb}_{format}") for verb in ("to", "from", "load"))
        weights = {name: lambda write=write: write(layers()) for name in ("state_dict", "weights")}
        yield write.__name__, (write, arguments_of(write, layers=layers))
        yield read.__name__, (read, arguments_of(read, **weights))
        yield load.__name__, (load, arguments_of(load, layers=layers, **weights))
    of_course: Callable[[], Any] = lambda: interop.to_courses(models.LSTM(3, 4))  # noqa: E731
    yield "to_courses", (interop.to_courses, {"cell": lambda: models.LSTM(3, 4), "grad": given(False)})
    yield "from_courses", (interop.from_courses, {"name": given("lstm"), "weights": of_course})
    yield "load_courses", (interop.load_courses, {"cell": lambda: models.LSTM(3, 4), "weights": of_course})
    yield "onnx_attributes", (interop.onnx_attributes, {"layers": layers})


def pictures() -> Iterator[tuple[str, Call]]:
    loss: Make = lambda: tensor(2)().sum()  # noqa: E731
    yield "draw", (lambda tensor, **rest: viz.draw(tensor, **rest), arguments_of(viz.draw) | {"tensor": loss})
    yield "render", (viz.render, {"tensors": loss, "path": file("picture.svg")})
    yield "Picture.themed", (lambda theme: viz.draw(loss()).themed(theme), {"theme": given("dark")})
    yield "Picture.text", (lambda width, ascii_only: viz.draw(loss()).text(width, ascii_only),
                           {"width": given(80), "ascii_only": given(True)})  # fmt: skip
    table = mg.gradient_by_time(graph()[0])
    right = {"models": given({"a": table}), "table": given(np.ones((2, 2))), "log": given({"loss": [2.0, 1.0]})}
    for name in ("gradient_lines", "heat_bars", "strips", "heat_map", "learning_curves"):
        yield name, (getattr(viz, name), arguments_of(getattr(viz, name), **right))
