"""Five ways to connect a sequence with an answer: which inputs can each output have seen?

    one-to-one                T_x = 1,  T_y = 1         no sequence at all
    one-to-many               T_x = 1,  T_y any         a genre → a melody
    many-to-one               T_x any,  T_y = 1         a review → its sentiment; a recording → who speaks
    many-to-many              T_x = T_y                 a word → is it part of a name?
    many-to-many              T_x ≠ T_y                 encoder–decoder: a sentence → its translation          (C3)

Each is built, one input after the other is changed, and the outputs that change are marked. An output of one-to-many and
of the decoder also sees the outputs before it; these are given here and stay as they are.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import EncoderDecoder, ManyToMany, ManyToOne, OneToMany, OneToOne
from minigrad.viz import draw

from minigrad import no_grad

D, H, N = 3, 4, 5


@no_grad()
def seen(outputs: Callable[[np.ndarray], np.ndarray], xs: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(T_y, T_x): whether ŷ<t> changes when x<k> is replaced by that of ``other``."""
    before = outputs(xs)
    table = []
    for k in range(len(xs)):
        changed = xs.copy()
        changed[k] = other[k]
        table.append((outputs(changed) != before).any(axis=-1))
    return np.array(table).T


def main(folder: Path) -> None:
    """Print, for each architecture, which inputs each output sees."""
    rng = np.random.default_rng(0)
    xs, other = rng.normal(size=(2, 4, 1, D))                                      # (T_x, B, D), one example
    words, other_words = np.array([[2, 6, 3, 4], [5, 1, 0, 6]])[:, :, None]        # (T_x, B), symbols
    given = np.array([[2], [4], [3]])                                              # y<1> y<2> y<3>
    one_one, one_many = OneToOne("rnn", D, H, N, seed=0), OneToMany("rnn", D, H, N, seed=0)
    many_one, many_many = ManyToOne("rnn", D, H, N, seed=0), ManyToMany("rnn", D, H, N, seed=0)
    translator = EncoderDecoder("rnn", 7, N, embedding_size=D, hidden_size=H, start=0, end=1, seed=0)

    tables = {
        "one-to-one": seen(lambda x: one_one(x[0]).numpy(), xs[:1], other[:1]),
        "one-to-many": seen(lambda x: one_many(x[0], given).numpy()[:, 0], xs[:1], other[:1]),
        "many-to-one": seen(lambda x: many_one(x).numpy(), xs, other),
        "many-to-many, T_x = T_y": seen(lambda x: many_many(x).numpy()[:, 0], xs, other),
        "encoder–decoder, T_x ≠ T_y": seen(lambda x: translator(x, given)[0].numpy()[:, 0], words, other_words),
    }
    for name, table in tables.items():
        rows = [f"ŷ<{t}> " + "".join("■" if yes else "·" for yes in row) for t, row in enumerate(table, 1)]
        print(f"{name:<27} T_x = {table.shape[1]}, T_y = {table.shape[0]}   sees x<1> …: {'   '.join(rows)}")

    melody = one_many.generate(xs[0], steps=6, seed=1)
    translation = translator.write(words, max_steps=6, temperature=1.0, seed=1).symbols
    print(f"one-to-many writes on its own:     {melody[:, 0]}")
    print(f"encoder–decoder writes on its own: {translation[:, 0]}, until the symbol 1, which ends it")

    groups: dict[str, list[str]] = {}
    for name, table in tables.items():
        up_to_t = np.tril(np.ones(table.shape, bool))
        kind = "every input" if table.all() else "x<1> … x<t>" if (table == up_to_t).all() else "something else"
        groups.setdefault(kind, []).append(name)
    print("Answer: ŷ<t> can have seen " + "; ".join(f"{kind} ({', '.join(names)})" for kind, names in groups.items()) + ".")

    _, h_4 = many_one.layers(xs, hoist=False)
    draw(many_one.head(h_4)[0, 0, 1], title="Many-to-one: one answer about the whole").save(folder / "c3_many_to_one.svg")
    picture = draw(translator.loss(words, given), title="Encoder–decoder: four words in, three out")
    picture.save(folder / "c3_encoder_decoder.svg")


if __name__ == "__main__":
    main(output_folder())
