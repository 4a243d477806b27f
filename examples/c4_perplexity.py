"""What is the perplexity of a language model, and why not average it sentence by sentence?

    perplexity = exp( −1/M Σ log P(symbol given those before it) )          over all M predicted symbols (C4)

A model that knows nothing gives every symbol 1/N and has perplexity N; one that is always right and sure has 1. Taken
per sentence and then averaged, a short unlucky sentence weighs as much as a long one.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models.language import LanguageModel
from minigrad.models.layers import unroll
from minigrad.models.ngram import NGram
from minigrad.viz import draw

from minigrad import cross_entropy, no_grad


def main(folder: Path) -> None:
    """Print perplexities of three models of one text, and two ways to take the mean over sentences."""
    N = 10
    text = np.random.default_rng(0).permutation(np.repeat(np.arange(N), [400, 200, 100, 100, 50, 50, 40, 30, 20, 10]))
    learnt, held_out = text[:800], text[800:]

    uniform = LanguageModel(N, hidden_size=4, seed=0)
    for parameter in uniform.head.parameters():
        parameter.data = np.zeros(parameter.shape)
    ngram = NGram(learnt, order=1, size=N)
    print(f"uniform model:  perplexity {uniform.perplexity(held_out)}")
    print(f"1-gram model:   perplexity {ngram.perplexity(held_out)}")
    by_definition = float(np.exp(-np.mean(ngram.log_probabilities(held_out))))
    print(f"1-gram, exp of the mean of −log P, by definition: {by_definition}")

    model = LanguageModel(N, hidden_size=4, seed=1)
    with no_grad():
        nats = [
            cross_entropy(model(s[:-1, None])[0], s[1:, None], reduction="sum").item() for s in (held_out[:4], held_out[4:])
        ]
    symbols = np.array([3, len(held_out) - 5])
    over_all = float(np.exp(sum(nats) / symbols.sum()))
    of_sentences = float(np.mean(np.exp(np.array(nats) / symbols)))
    print(f"two sentences of {symbols[0]} and {symbols[1]} predictions: over all symbols {over_all}")
    print(f"                                          mean of the sentences' perplexities {of_sentences}")

    print(
        f"Answer: exp of the mean negative log-likelihood per symbol, over all symbols. The uniform model has N = "
        f"{uniform.perplexity(held_out):.9f}, the 1-gram {ngram.perplexity(held_out):.4f}. Averaged by sentence it would be "
        f"{of_sentences:.3f} where {over_all:.3f} is right."
    )

    hs, _ = unroll(model.cell, model.embed(held_out[:4, None]))
    picture = draw(model.head.loss(hs, held_out[1:5, None]), title="The loss whose exponential is the perplexity")
    picture.save(folder / "c4_perplexity.svg")


if __name__ == "__main__":
    main(output_folder())
