"""What exactly does an RNN language model estimate at step t?

    P(y<t> given y<1> … y<t−1>)          (C3)

Three things follow, and each is tried: it is a distribution over y<t>; it changes with what came before and never with
what comes after; and the product over t is the probability of a whole sentence, so over all sentences it sums to 1.
"""

from itertools import product
from pathlib import Path

import numpy as np
from lesson import output_folder, row
from minigrad.models.language import LanguageModel
from minigrad.models.layers import unroll
from minigrad.viz import draw

from minigrad import no_grad, softmax


@no_grad()
def conditionals(model: LanguageModel, sentence: tuple[int, ...], start: int = 0) -> np.ndarray:
    """Row t−1 is P(· given y<1> … y<t−1>), for t = 1 … T. Before the first word stands ``start``."""
    logits, _ = model(np.array([start, *sentence[:-1]])[:, None])
    return softmax(logits, axis=-1).numpy()[:, 0]


def main(folder: Path) -> None:
    """Print the conditionals of two sentences that differ at one place, and the sum over all sentences."""
    N, T = 3, 4
    model = LanguageModel(vocabulary_size=N, hidden_size=5, cell="lstm", seed=0)

    sentence, other = (2, 1, 0, 2), (2, 1, 1, 2)
    p, q = conditionals(model, sentence), conditionals(model, other)
    for t in range(1, T + 1):
        given = " ".join(str(y) for y in sentence[: t - 1]) or "nothing"
        changed = float(np.abs(p[t - 1] - q[t - 1]).max())
        print(f"P(y<{t}> given {given:<7}) = {row(p[t - 1])}   changes with y<3> by {changed}")

    of_sentence = float(np.prod([p[t, y] for t, y in enumerate(sentence)]))
    print(f"P({sentence}) = product over t of P(y<t> given y<1> … y<t−1>) = {of_sentence}")
    total = 0.0
    for y in product(range(N), repeat=T):
        total += float(np.prod(conditionals(model, y)[np.arange(T), y]))
    print(f"sum of P over all {N**T} sentences of {T} words = {total}")

    changes = [t for t in range(1, T + 1) if not np.array_equal(p[t - 1], q[t - 1])]
    print(
        f"Answer: P(y<t> given y<1> … y<t−1>). Another y<3> changes it at t = {changes} only, "
        f"and the products over all {N**T} sentences sum to {total:.12f}."
    )

    hs, _ = unroll(model.cell, model.embed(np.array([[0], [2], [1], [0]])))
    picture = draw(model.head.loss(hs, np.array(sentence)[:, None]), title="Word t−1 goes in, word t is predicted")
    picture.save(folder / "c3_language_model.svg")


if __name__ == "__main__":
    main(output_folder())
