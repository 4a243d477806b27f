"""A dog's mood depends on the weather of today and the days before: should the RNN be bidirectional?

    unidirectional:  y<t> from x<1> … x<t>
    bidirectional:   y<t> from x<1> … x<T>, so nothing can be said before the whole sequence is known          (C3)

Mood A: good if it was sunny on at least two of the last three days. Mood B: good if tomorrow will be sunny (the dog feels
it coming). Both kinds of network learn both moods from the same weather and are asked about weather they have not seen.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import Head
from minigrad.models.layers import RecurrentLayers
from minigrad.viz import draw

from minigrad import Tensor, cross_entropy, grad, no_grad
from minigrad.optim import Adam

T, B, H = 12, 40, 8


def weather(seed: int) -> np.ndarray:
    """Sunny (1) or not (0), (T, B)."""
    return np.random.default_rng(seed).integers(2, size=(T, B))


def mood_a(sunny: np.ndarray) -> np.ndarray:
    """From the past: sunny on at least two of the last three days; days before the first were not."""
    padded = np.concatenate([np.zeros((2, B), int), sunny])
    return np.asarray(padded[2:] + padded[1:-1] + padded[:-2] >= 2, dtype=int)


def mood_b(sunny: np.ndarray) -> np.ndarray:
    """From the future: sunny tomorrow; the day after the last is not."""
    return np.concatenate([sunny[1:], np.zeros((1, B), int)])


def main(folder: Path) -> None:
    """Print how often each network is right about each mood, and which days y<5> depends on."""
    learnt, unseen = weather(seed=0), weather(seed=1)
    right: dict[tuple[str, str], float] = {}
    for kind in ("unidirectional", "bidirectional"):
        for mood, rule in {"A": mood_a, "B": mood_b}.items():
            layers = RecurrentLayers("gru", 1, H, bidirectional=kind == "bidirectional", seed=0)
            head = Head(H * layers.num_directions, 2, seed=1)
            optimizer = Adam(layers.parameters() + head.parameters(), lr=0.05)
            for _ in range(80):
                optimizer.zero_grad()
                hs, _ = layers(learnt[:, :, None].astype(float))
                cross_entropy(head(hs), rule(learnt)).backward()
                optimizer.step()
            with no_grad():
                hs, _ = layers(unseen[:, :, None].astype(float))
                right[kind, mood] = float((head(hs).numpy().argmax(axis=2) == rule(unseen)).mean())
            print(f"{kind:<15} mood {mood}: right about {right[kind, mood]:.3f} of the days")

        xs = Tensor(unseen[:, :1, None].astype(float), requires_grad=True)
        hs, _ = layers(xs, hoist=False)
        (g,) = grad(head(hs)[4, 0, 0], xs, retain_graph=True)
        days = [k for k in range(1, T + 1) if g.numpy()[k - 1].any()]
        print(f"{kind:<15} y<5> depends on the weather of days {days[0]} … {days[-1]}")

    print(
        f"Answer: no, unidirectional: it is right about {right['unidirectional', 'A']:.0%} of the days, and in time. "
        f"Bidirectional pays when the future matters and is known: mood B, {right['bidirectional', 'B']:.0%} against "
        f"{right['unidirectional', 'B']:.0%}."
    )

    picture = draw(head(layers(xs[:5], hoist=False)[0])[2, 0].sum(), title="Bidirectional: the mood of day 3 reads all days")
    picture.save(folder / "c3_mood_from_weather.svg")


if __name__ == "__main__":
    main(output_folder())
