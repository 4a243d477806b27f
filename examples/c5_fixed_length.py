"""All sequences have the same length: is an RNN of any use then, or would a feed-forward network do as well?

Ten bits, always ten; the question is whether 1 1 1 is among them. A feed-forward network reads the ten bits as one vector
and has weights of its own for every position. An RNN has one set of weights for all positions (C5): what it learns at one
place it knows at every place. Both learn from the same 100 of the 1024 sequences and are asked about the other 924.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import RNN, Head, unroll
from minigrad.viz import draw

from minigrad import Tensor, cross_entropy, no_grad, tanh
from minigrad.optim import Adam

T = 10


def main(folder: Path) -> None:
    """Train both; print their sizes and how often each is right."""
    strings = [format(number, "010b") for number in range(2**T)]
    bits = np.array([[float(bit) for bit in string] for string in strings]).T
    labels = np.array([int("111" in string) for string in strings])
    order = np.random.default_rng(0).permutation(len(strings))
    learnt, others = order[:100], order[100:]
    print(f"1 1 1 is in {labels.mean():.1%} of the {len(strings)} sequences")

    cell, head = RNN(input_size=1, hidden_size=8, seed=0), Head(8, 2, seed=1)
    below, above = Head(T, 8, seed=2), Head(8, 2, seed=3)

    def recurrent(which: np.ndarray) -> Tensor:
        hs, _ = unroll(cell, bits[:, which, None])
        return head.forward(hs[T - 1])

    def feed_forward(which: np.ndarray) -> Tensor:
        return above.forward(tanh(below(Tensor(bits[:, which].T))))

    def right(network: Callable[[np.ndarray], Tensor], which: np.ndarray) -> float:
        with no_grad():
            return float((network(which).numpy().argmax(axis=1) == labels[which]).mean())

    share = {}
    for name, network, parameters in (
        ("RNN", recurrent, cell.parameters() + head.parameters()),
        ("feed-forward", feed_forward, below.parameters() + above.parameters()),
    ):
        optimizer = Adam(parameters, lr=0.03)
        for _ in range(150):
            optimizer.zero_grad()
            cross_entropy(network(learnt), labels[learnt]).backward()
            optimizer.step()
        by_heart, share[name] = right(network, learnt), right(network, others)
        size = sum(parameter.size for parameter in parameters)
        print(f"{name:<13} {size} numbers; right about what it learnt: {by_heart:.3f}, about the rest: {share[name]:.3f}")

    print(
        f"Answer: yes, it is. Having learnt on 100 sequences, the RNN is right about {share['RNN']:.0%} of the other 924, a "
        f"feed-forward network of about the same size about {share['feed-forward']:.0%}."
    )

    picture = draw(cross_entropy(recurrent(learnt[:1]), labels[learnt[:1]]), title="Ten steps, always ten, one set of weights")
    picture.save(folder / "c5_fixed_length.svg")


if __name__ == "__main__":
    main(output_folder())
