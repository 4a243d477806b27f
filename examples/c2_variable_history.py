"""How much of the past does an n-gram model see, and how much an RNN, on one and the same text?

    n-gram:  P(y_t | y_{t−n+1} … y_{t−1})        the last n−1 symbols, whatever n was chosen
    RNN:     s_t = step(x_t, s_{t−1})            one symbol and one state go in, at every t (C2)

The text is made of words such as (abba) [ba] {abaabba}: two to eight random letters between brackets of one of three
kinds. What closes a word was decided up to nine symbols ago, out of sight of a short window; and a long window sees so
many different strings of letters that it has counted none of them often.
"""

import math
from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models.language import LanguageModel
from minigrad.models.layers import unroll
from minigrad.models.ngram import NGram
from minigrad.models.streams import Streams
from minigrad.models.training import Trainer
from minigrad.models.vocabulary import Vocabulary
from minigrad.viz import draw

from minigrad.optim import Adam


def words(count: int, seed: int) -> str:
    """That many words, one after the other."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        kind, letters = rng.integers(3), rng.choice(["a", "b"], size=rng.integers(2, 9))
        made.append("([{"[kind] + "".join(letters) + ")]}"[kind])
    return "".join(made)


def best_possible() -> float:
    """The perplexity of who knows the rule: 3 kinds, 7 lengths and 2 letters, each choice uniform; 7 symbols a word."""
    nats_per_word = math.log(3) + math.log(7) + 5 * math.log(2)
    return math.exp(nats_per_word / 7)


def main(folder: Path) -> None:
    """Print the perplexity on held-out text of the uniform model, n-grams of every order, the RNN and the rule itself."""
    text, held_out = words(900, seed=0), words(300, seed=1)
    vocabulary = Vocabulary.from_text(text)
    learnt, unseen = vocabulary.encode(text), vocabulary.encode(held_out)
    N, H = len(vocabulary), 16
    print(f"{text[:40]}…   {len(learnt)} symbols to learn from, {len(unseen)} held out, N = {N}")

    print(f"uniform      perplexity {float(N)}")
    by_order = {n: NGram(learnt, order=n, size=N).perplexity(unseen) for n in range(1, 9)}
    for n, perplexity in by_order.items():
        print(f"{n}-gram       perplexity {perplexity:.12f}   sees {n - 1} symbols: {n - 1} × {N} one-hot inputs")

    model = LanguageModel(N, H, cell="gru", seed=0)
    Trainer(model, Streams(learnt, batch=16, steps=25), Adam(model.parameters(), lr=0.02)).run(updates=200)
    recurrent = model.perplexity(unseen)
    print(f"RNN (GRU)    perplexity {recurrent:.4f}           sees x_t and s_(t−1): {N} + {H} inputs, at every t")
    print(f"the rule     perplexity {best_possible():.12f}")

    best = min(by_order, key=lambda n: by_order[n])
    print(
        f"Answer: an n-gram model sees n−1 symbols and is at its best here with n = {best}, at perplexity "
        f"{by_order[best]:.2f}; the RNN sees one symbol and the state of everything before it: {recurrent:.2f}."
    )

    hs, _ = unroll(model.cell, model.embed(learnt[:4, None]))
    picture = draw(model.head.loss(hs, learnt[1:5, None]), title="What goes into a step: one symbol and the state before it")
    picture.save(folder / "c2_variable_history.svg")


if __name__ == "__main__":
    main(output_folder())
