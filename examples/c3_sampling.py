"""To write with a language model, does one take the likeliest symbol or draw one, and what goes into the next step?

    ŷ<t> drawn from P(y<t> given ŷ<1> … ŷ<t−1>),  x<t+1> = ŷ<t>          (C3)

The text consists of "the cat sat ." (7 of 10) and "the dog ran ." (3 of 10). A network that has learnt it writes 500
sentences in three ways: drawing each word and passing it on; taking the likeliest word and passing it on; drawing each
word but passing on another draw, as a program with that mistake would.
"""

import re
from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models.language import LanguageModel
from minigrad.models.layers import unroll
from minigrad.models.streams import Streams
from minigrad.models.training import Trainer
from minigrad.models.vocabulary import Vocabulary
from minigrad.viz import draw

from minigrad import no_grad, softmax
from minigrad.optim import Adam

WAYS = ("draw, pass on the drawn word", "take the likeliest, pass it on", "draw, pass on another draw")


@no_grad()
def written(model: LanguageModel, vocabulary: Vocabulary, way: str, count: int) -> str:
    """That many words, the first of them after a full stop."""
    rng = np.random.default_rng(0)
    logits, state = model(vocabulary.encode(".")[:, None])
    words = []
    for _ in range(count):
        p = softmax(logits[-1, 0]).numpy()
        word = int(p.argmax() if way == "take the likeliest, pass it on" else rng.choice(len(p), p=p))
        words.append(word)
        passed_on = rng.choice(len(p), p=p) if way == "draw, pass on another draw" else word
        logits, state = model(np.array([[passed_on]]), state)
    return vocabulary.decode(words)


def main(folder: Path) -> None:
    """Print how often each sentence was written in each of the three ways."""
    cats = np.random.default_rng(0).permutation(500) < 350
    text = " ".join("the cat sat ." if cat else "the dog ran ." for cat in cats)
    vocabulary = Vocabulary.from_text(text, unit="word")
    words = vocabulary.encode(text)
    model = LanguageModel(len(vocabulary), 12, cell="gru", seed=0)
    Trainer(model, Streams(words, batch=10, steps=20), Adam(model.parameters(), lr=0.02)).run(updates=150)
    p = model.distribution(vocabulary.encode("the cat sat . the"))[vocabulary.number("cat")]
    print(f"the share of cats in the text is {cats.mean()}, P(cat given the cat sat . the) = {p:.4f}")

    shares = {}
    for way in WAYS:
        sentences = re.findall(r"[^.]+", written(model, vocabulary, way, 2000))
        cat, dog = (sum(s.strip() == known for s in sentences) / len(sentences) for known in ("the cat sat", "the dog ran"))
        shares[way] = cat, dog, 1 - cat - dog
        print(f"{way:<31} the cat sat {cat:.3f}   the dog ran {dog:.3f}   anything else {1 - cat - dog:.3f}")

    (cat, dog, _), (_, no_dog, _), (_, _, nonsense) = shares.values()
    print(
        f"Answer: draw, and pass on what was drawn: {cat:.0%} cats and {dog:.0%} dogs, as in the text. The likeliest word "
        f"gives {no_dog:.0%} dogs; passing on anything but the drawn word gives {nonsense:.0%} sentences like 'the cat ran'."
    )

    hs, _ = unroll(model.cell, model.embed(words[:4, None]))
    draw(model.head.loss(hs, words[1:5, None]), title="Each word goes into the next step").save(folder / "c3_sampling.svg")


if __name__ == "__main__":
    main(output_folder())
