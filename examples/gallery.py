"""Every kind of picture that minigrad draws, on one page: ``make gallery`` writes it and says where it is.

Each exhibit is one expression of `minigrad.viz`, shown beside what it drew; look here for the call that makes the picture
you want.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from minigrad.models import GRU, LSTM, RNN, EncoderDecoder, GatedRNN, Head, RecurrentLayers, unroll

from minigrad import Tensor, exp, time_step, viz
from minigrad.bptt import contributions, state_jacobians

B, D, H, N = 2, 3, 4, 5
ALL = (".svg", ".html", ".png", ".txt", ".dot", ".tex")

STYLE = """
body { max-width: 1500px; margin: 24px auto; padding: 0 16px; font: 16px/1.5 system-ui, sans-serif; color: #263238; }
figure { margin: 0 0 56px; }
img { max-width: 100%; height: auto; border: 1px solid #dfe5e8; border-radius: 8px; }
pre { background: #f4f6f7; padding: 8px 12px; border-radius: 6px; overflow-x: auto; }
"""


@dataclass(frozen=True)
class Exhibit:
    """A picture of the gallery: the name of its files, what it shows, the expression that draws it, and its formats."""

    name: str
    words: str
    expression: str
    formats: tuple[str, ...] = (".svg",)


EXHIBITS = (
    Exhibit("lstm", "The unrolled LSTM, gradients on its edges, shares of the steps below", "viz.draw(last(lstm, 5))", ALL),
    Exhibit("rnn", "The simple RNN with a loss at every step", "viz.draw(every(rnn, 4))"),
    Exhibit("gated_rnn", "One gate", "viz.draw(last(gated_rnn, 3))"),
    Exhibit("gru", "The GRU", "viz.draw(last(gru, 3))"),
    Exhibit("dark", "On a dark page", 'viz.draw(last(lstm, 4), theme="dark")'),
    Exhibit("forward", "The forward pass alone", "viz.draw(last(gru, 3), gradients=False)"),
    Exhibit("values", "With the numbers of every value and gradient", "viz.draw(last(rnn, 2), values=True)"),
    Exhibit("operations", "Every operation that was recorded", 'viz.draw(last(gru, 2), detail="operations")'),
    Exhibit("cells", "A box for each cell", 'viz.draw(last(lstm, 8), detail="cells")'),
    Exhibit("opened", "One open cell between closed ones", "viz.draw(last(lstm, 5), opened=3)", (".svg", ".html")),
    Exhibit("folded", "Fifty steps, folded", "viz.draw(last(lstm, 50))", (".svg", ".html", ".txt")),
    Exhibit("slide", "The same on a slide", 'viz.draw(last(lstm, 50), size="slide")'),
    Exhibit("stack", "Layers above one another", "viz.draw(layers(num_layers=2))"),
    Exhibit("directions", "Both directions", "viz.draw(layers(bidirectional=True))", (".svg", ".html")),
    Exhibit("translation", "Encoder, decoder, attention", "viz.draw(translation())"),
    Exhibit("truncated", "Truncated BPTT: where the gradient is cut", "viz.draw(truncated(6, 2), fold=False)"),
    Exhibit("nan", "Where a NaN began", "viz.draw(overflowing(5))"),
    Exhibit("strips", "How far does the gradient get?", "viz.strips(models(50))", (".svg", ".txt")),
    Exhibit("heat_bars", "The same over five hundred steps", "viz.heat_bars(models(500))", (".svg", ".txt")),
    Exhibit("lines", "The gradient of the state, step by step", "viz.gradient_lines(models(50))"),
    Exhibit(
        "contributions", "‖∂Lₜ/∂W‖ through step k", 'viz.heat_map(shares(rnn, 12).norms, title="‖∂Lₜ/∂Wₕₕ‖ through step k")'
    ),
    Exhibit("jacobians", "‖∂hₜ/∂hₖ‖", 'viz.heat_map(jacobians(rnn, 20).norms(), title="‖∂hₜ/∂hₖ‖", first=0)'),
    Exhibit("training", "A training", "viz.learning_curves(log())"),
)

lstm, gru, rnn, gated_rnn = LSTM(D, H, seed=0), GRU(D, H, seed=0), RNN(D, H, seed=0), GatedRNN(D, H, seed=0)


def sequence(T: int) -> np.ndarray[Any, Any]:
    """A random input (T, B, D)."""
    return np.random.default_rng(1).standard_normal((T, B, D))


def last(cell: Any, T: int) -> Tensor:
    """A loss of the last state alone."""
    hs, _ = unroll(cell, sequence(T))
    return (hs[-1] * hs[-1]).sum().named("L")


def every(cell: Any, T: int) -> Tensor:
    """The cross-entropy of a prediction at every step."""
    hs, _ = unroll(cell, sequence(T))
    return Head(H, N, seed=1).loss(hs, np.arange(T * B).reshape(T, B) % N)


def layers(**options: Any) -> Tensor:
    """A loss of the last output of several layers or directions."""
    hs: Tensor = RecurrentLayers("gru", D, H, seed=0, **options)(sequence(3))[0]
    return (hs[-1] * hs[-1]).sum().named("L")


def translation() -> Tensor:
    """A loss of an encoder–decoder that attends."""
    model = EncoderDecoder("gru", 7, N, embedding_size=D, hidden_size=H, start=0, end=1, attention="dot", seed=0)
    logits: Tensor = model(np.array([[2, 3], [4, 6], [1, 5]]), np.array([[2, 3], [4, 1]]))[0]
    return (logits * logits).sum().named("L")


def truncated(T: int, k: int) -> Tensor:
    """A loss at every step of which no gradient goes further back than k steps."""
    hs, _ = unroll(rnn, sequence(T), truncated=k)
    return (hs * hs).sum().named("L")


def overflowing(T: int) -> Tensor:
    """A recurrence that grows until its exponential is infinite, and its loss NaN."""
    W, h = Tensor([[3.0]], requires_grad=True, name="W"), Tensor([[1.0]])
    with np.errstate(all="ignore"):
        for t in range(1, T + 1):
            with time_step(t):
                h = exp(h @ W.T).named("h")
        return (h - h).sum().named("L")


def models(T: int) -> dict[str, Tensor]:
    """Four models that forget at different rates."""
    cells = {
        "RNN": RNN(D, 16, seed=0),
        "GRU": GRU(D, 16, seed=0),
        "LSTM, forget bias 0": LSTM(D, 16, seed=0),
        "LSTM, forget bias 3": LSTM(D, 16, seed=0, forget_bias=3.0),
    }
    return {name: last(cell, T) for name, cell in cells.items()}


def shares(cell: Any, T: int) -> Any:
    """Each step's contribution to the gradient of the recurrent weights, of the loss at each step."""
    hs, _ = unroll(cell, sequence(T))
    return contributions([(hs[t] * hs[t]).sum() for t in range(T)], cell.W_hh)


def jacobians(cell: Any, T: int) -> Any:
    """How each state depends on those before it."""
    return state_jacobians(cell, sequence(T))


def log() -> dict[str, list[float]]:
    """What a training might have logged."""
    updates = np.arange(1, 201)
    noise = np.random.default_rng(2).standard_normal(200)
    loss = 1.6 * np.exp(-updates / 60) * np.exp(0.08 * noise) + 0.05
    return {
        "loss": loss.tolist(),
        "gradient norm": (loss * np.exp(0.3 * noise)).tolist(),
        "learning rate": (0.01 * 0.5 ** (updates // 50)).tolist(),
    }


def page(folder: Path) -> Iterator[str]:
    """The lines of the page; the pictures are written on the way."""
    yield f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>minigrad: pictures</title><style>{STYLE}</style>'
    yield "<h1>Pictures of backpropagation through time</h1>"
    yield "<p>Each is one call; hover over an SVG that is opened by itself to read names and numbers.</p>"
    for exhibit in EXHIBITS:
        picture = eval(exhibit.expression)
        for ending in exhibit.formats:
            if ending != ".png" or viz.writers.png.available():
                picture.save(folder / f"{exhibit.name}{ending}")
        links = ", ".join(f'<a href="{exhibit.name}{ending}">{ending}</a>' for ending in exhibit.formats)
        yield f"<figure><h2>{html.escape(exhibit.words)}</h2><pre>{html.escape(exhibit.expression)}</pre>"
        yield f'<img src="{exhibit.name}.svg" alt="{html.escape(picture.scene.description)}">'
        yield f"<figcaption>{links}</figcaption></figure>"


def main(folder: Path) -> None:
    """Write the page and its pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text("\n".join(page(folder)), encoding="utf-8")
    print(f"{len(EXHIBITS)} pictures: {(folder / 'index.html').resolve()}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "gallery"))
