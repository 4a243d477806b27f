"""How does one and the same network first read a sequence and then write one?

    encode:    s_t = step(x_t, s_{t−1})                     for every symbol of the prompt
    generate:  p = softmax(W_o s),  draw y from p,  s = step(y, s),  and again (C2)

The network has learnt words such as (abba) [ba] {abaabba}. Whatever it is to remember of the prompt, the kind of the
bracket above all, must go through the state.
"""

import re
from pathlib import Path

import numpy as np
from c2_variable_history import words
from lesson import output_folder
from minigrad.models.language import LanguageModel
from minigrad.models.layers import unroll
from minigrad.models.streams import Streams
from minigrad.models.training import Trainer
from minigrad.models.vocabulary import Vocabulary
from minigrad.viz import draw

from minigrad import no_grad, softmax
from minigrad.optim import Adam


def trained(text: str, vocabulary: Vocabulary) -> LanguageModel:
    """A network that has read the text a few times."""
    model = LanguageModel(len(vocabulary), 16, cell="gru", seed=0)
    Trainer(model, Streams(vocabulary.encode(text), batch=16, steps=25), Adam(model.parameters(), lr=0.02)).run(updates=300)
    return model


@no_grad()
def continued(model: LanguageModel, vocabulary: Vocabulary, prompt: str, count: int, seed: int) -> str:
    """Encode the prompt, then draw ``count`` symbols, each fed back in."""
    rng = np.random.default_rng(seed)
    logits, state = model(vocabulary.encode(prompt)[:, None])                     # encode
    written = ""
    for _ in range(count):
        p = softmax(logits[-1, 0]).numpy()
        symbol = rng.choice(len(vocabulary), p=p)                                 # draw
        logits, state = model(np.array([[symbol]]), state)                        # feed it back
        written += vocabulary.symbols[symbol]
    return written


def main(folder: Path) -> None:
    """Print what is expected after some prompts, how they go on, and how many brackets are closed by their own kind."""
    text = words(900, seed=0)
    vocabulary = Vocabulary.from_text(text)
    model = trained(text, vocabulary)

    for number, prompt in enumerate(("(ab", "[ab", "{ab", "{abbababa")):
        with no_grad():
            _, state = model(vocabulary.encode(prompt)[:, None])
        p = model.distribution(vocabulary.encode(prompt))
        closing = "  ".join(f"P({bracket}) = {p[vocabulary.number(bracket)]:.4f}" for bracket in ")]}")
        goes_on = continued(model, vocabulary, prompt, 20, seed=number)
        print(f"{prompt:<10} → state of {state.size} numbers → {closing} → {goes_on}")

    generated = "{ab" + continued(model, vocabulary, "{ab", 2000, seed=0)
    closed = re.findall(r"([(\[{])[ab]*([)\]}])", generated)
    own = sum(left + right in ("()", "[]", "{}") for left, right in closed)
    print(f"of {len(closed)} brackets in 2000 generated symbols {own} were closed by their own kind")

    by_library = "{ab" + vocabulary.decode(model.sample(2000, prompt=vocabulary.encode("{ab"), seed=0))
    print(f"the loop above and LanguageModel.sample write the same symbols: {generated == by_library}")

    print(
        f"Answer: it encodes the prompt into a state, {state.size} numbers however long it is; draws the next symbol from "
        f"softmax(W_o s); feeds it back in; and so on. The state remembers: {own / len(closed):.0%} of the brackets it "
        f"writes are closed by their own kind, where chance would give 33%."
    )

    hs, _ = unroll(model.cell, model.embed(vocabulary.encode("{ab")[:, None]))
    picture = draw(softmax(model.head(hs[2])).named("p")[0, vocabulary.number("}")], title="Read {ab, expect }")
    picture.save(folder / "c2_encode_generate.svg")


if __name__ == "__main__":
    main(output_folder())
