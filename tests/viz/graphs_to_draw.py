"""Graphs that pictures are tested on: the project's cells, and cells as a user would write them."""

from collections.abc import Callable

import numpy as np
from minigrad.models.cells import make_cell
from minigrad.models.head import Head
from minigrad.models.unrolling import unroll

from minigrad import (
    Parameter,
    Tensor,
    concatenate,
    cross_entropy,
    reshape,
    scope,
    sigmoid,
    softmax,
    stack,
    tanh,
    time_step,
)

B, D, H, N = 2, 3, 4, 5
CELLS = ("rnn", "gated_rnn", "gru", "lstm")


def sequence(T: int, **options: bool | str) -> Tensor:
    rng = np.random.default_rng(7)
    return Tensor(rng.normal(size=(T, B, D)), **options)


def of_cell(name: str, T: int, loss: str = "every step", hoist: bool = False, xs: Tensor | None = None) -> Tensor:
    """The loss of one of the project's cells, unrolled: after every step or only after the last."""
    cell = make_cell(name, D, H, seed=0)
    hs, state = unroll(cell, sequence(T) if xs is None else xs, hoist=hoist)
    if loss == "every step":
        return Head(H, N, seed=1).loss(hs, np.arange(T * B).reshape(T, B) % N)
    last = state[-1] if isinstance(state, tuple) else state
    return (last * last).sum()


class Weights:
    """Parameters made on demand, equal on every run."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(3)

    def __call__(self, name: str, *shape: int) -> Parameter:
        return Parameter(self.rng.normal(size=shape) * 0.5, name=name)

    def x(self, name: str = "x") -> Tensor:
        return Tensor(self.rng.normal(size=(B, D)), name=name)


def start(name: str) -> Tensor:
    with time_step(0):
        return Tensor(np.full((B, H), 0.1), requires_grad=True, name=name)


def lstm_with_a_matrix_for_every_gate(T: int, peephole: bool = False, head: bool = False) -> Tensor:
    w = Weights()
    gates = {g: (w(f"W_{g}x", H, D), w(f"W_{g}h", H, H), w(f"b_{g}", H)) for g in "ifgo"}
    looks = {g: w(f"p_{g}", H) for g in "ifo"}
    W_y, b_y = w("W_yh", N, H), w("b_y", N)
    h, c = start("h"), start("c")
    total: Tensor | None = None
    for t in range(1, T + 1):
        with time_step(t):
            x = w.x()

            def before(g: str, c: Tensor, x: Tensor = x, h: Tensor = h) -> Tensor:
                W_x, W_h, b = gates[g]
                a = x @ W_x.T + h @ W_h.T + b
                return a + looks[g] * c if peephole and g in looks else a

            i, f = sigmoid(before("i", c)).named("i"), sigmoid(before("f", c)).named("f")
            c = (f * c + i * tanh(before("g", c)).named("g")).named("c")
            h = (sigmoid(before("o", c)).named("o") * tanh(c)).named("h")
            if head:
                loss = cross_entropy((h @ W_y.T + b_y).named("y"), np.zeros(B, int)).named("ℓ")
                total = loss if total is None else total + loss
    return h.sum() if total is None else total


def rnn_with_a_loss_at_every_step(T: int, total_in_step: bool) -> Tensor:
    w = Weights()
    W_hx, W_hh, b_h, W_yh, b_y = w("W_hx", H, D), w("W_hh", H, H), w("b_h", H), w("W_yh", N, H), w("b_y", N)
    h = start("h")
    losses: list[Tensor] = []
    for t in range(1, T + 1):
        with time_step(t):
            h = tanh(w.x() @ W_hx.T + h @ W_hh.T + b_h).named("h")
            loss = cross_entropy(h @ W_yh.T + b_y, np.zeros(B, int)).named("ℓ")
            if total_in_step and losses:
                loss = losses[-1] + loss
            losses.append(loss)
    if total_in_step:
        return losses[-1]
    total = losses[0]
    for loss in losses[1:]:
        total = total + loss
    return total / T


def minimal_gated_unit_without_names(T: int) -> Tensor:
    w = Weights()
    W_f, U_f, W_h, U_h = w("W_f", H, D), w("U_f", H, H), w("W_h", H, D), w("U_h", H, H)
    h = start("h")
    for t in range(1, T + 1):
        with time_step(t):
            x = w.x()
            f = sigmoid(x @ W_f.T + h @ U_f.T)
            h = (1 - f) * h + f * tanh(x @ W_h.T + (f * h) @ U_h.T)
    return h.sum()


def concatenated_rnn(T: int) -> Tensor:
    w = Weights()
    W_h, b_h = w("W_h", H, H + D), w("b_h", H)
    h = start("h")
    for t in range(1, T + 1):
        with time_step(t):
            h = tanh(concatenate([h, w.x()], axis=-1) @ W_h.T + b_h).named("h")
    return h.sum()


def stacked(T: int) -> Tensor:
    first, second = make_cell("gru", D, H, seed=0), make_cell("lstm", H, H, seed=1)
    xs = sequence(T).numpy()
    with time_step(0):
        one, two = first.initial_state(B), second.initial_state(B)
    for t in range(1, T + 1):
        with time_step(t):
            x = Tensor(xs[t - 1], name="x")
            with scope("layer 1"):
                one = first.step(x, one)
            with scope("layer 2"):
                two = second.step(one, two)
    return (two[-1] * two[-1]).sum()


def bidirectional(T: int) -> Tensor:
    forth, back = make_cell("rnn", D, H, seed=0), make_cell("rnn", D, H, seed=1)
    w = Weights()
    xs: list[Tensor] = []
    for t in range(1, T + 1):
        with time_step(t):
            xs.append(w.x())
    with time_step(0):
        f, b = forth.initial_state(B), back.initial_state(B)
    states: list[list[Tensor]] = [[] for _ in range(T)]
    for t in range(1, T + 1):
        with scope("forward"), time_step(t):
            f = forth.step(xs[t - 1], f)
            states[t - 1].append(f)
    for t in range(T, 0, -1):
        with scope("backward"), time_step(t):
            b = back.step(xs[t - 1], b)
            states[t - 1].append(b)
    hs = stack([concatenate(pair, axis=-1) for pair in states])
    return Head(2 * H, N, seed=0).loss(hs, np.zeros((T, B), int))


def encoder_and_decoder(T: int, attention: bool = False) -> Tensor:
    encoder, decoder = make_cell("gru", D, H, seed=0), make_cell("gru", D, H, seed=1)
    w = Weights()
    with time_step(0):
        s = encoder.initial_state(B)
    outputs: list[Tensor] = []
    for t in range(1, T + 1):
        with scope("encoder"), time_step(t):
            s = encoder.step(w.x(), s)
            outputs.append(s)
    memory = stack(outputs)
    for t in range(1, T + 1):
        with scope("decoder"), time_step(t):
            s = decoder.step(w.x("y"), s)
            if attention:
                weights = softmax((memory * s).sum(axis=-1), axis=0).named("α")
                s = (s + (reshape(weights, (T, B, 1)) * memory).sum(axis=0)).named("s")
    return s.sum()


def skipping(T: int) -> Tensor:
    """Every step also reads the state of two steps before."""
    w = Weights()
    W_x, W_h, W_s = w("W_x", H, D), w("W_h", H, H), w("W_s", H, H)
    states = [start("h")]
    for t in range(1, T + 1):
        with time_step(t):
            states.append(tanh(w.x() @ W_x.T + states[-1] @ W_h.T + states[max(t - 2, 0)] @ W_s.T).named("h"))
    return stack(states[1:]).sum()


def regularised(T: int) -> Tensor:
    """The weights of the steps are read again by the loss."""
    w = Weights()
    W_x, W_h = w("W_x", H, D), w("W_h", H, H)
    h = start("h")
    for t in range(1, T + 1):
        with time_step(t):
            h = tanh(w.x() @ W_x.T + h @ W_h.T).named("h")
    return (h * h).sum() + 0.1 * (W_x * W_x).sum() + 0.1 * (W_h * W_h).sum()


def multilayer() -> Tensor:
    w = Weights()
    x = Tensor(w.rng.normal(size=(B, D)), name="x")
    h = tanh(x @ w("W_1", H, D).T + w("b_1", H)).named("h")
    return cross_entropy(h @ w("W_2", N, H).T + w("b_2", N), np.zeros(B, int))


def expression() -> Tensor:
    x, y = (Tensor([a, 2.0], requires_grad=True, name=n) for a, n in ((1.0, "x"), (3.0, "y")))
    return (x * x + tanh(x * y) / (1.0 + y * y) - 2.0 * x).sum()


OWN: dict[str, Callable[[], Tensor]] = {
    "lstm, a matrix for every gate": lambda: lstm_with_a_matrix_for_every_gate(3),
    "lstm with peepholes": lambda: lstm_with_a_matrix_for_every_gate(3, peephole=True),
    "lstm with a head in every step": lambda: lstm_with_a_matrix_for_every_gate(3, head=True),
    "rnn, running total": lambda: rnn_with_a_loss_at_every_step(4, total_in_step=True),
    "rnn, mean of losses": lambda: rnn_with_a_loss_at_every_step(4, total_in_step=False),
    "minimal gated unit without names": lambda: minimal_gated_unit_without_names(4),
    "concatenated rnn": lambda: concatenated_rnn(4),
    "gru under lstm": lambda: stacked(3),
    "both directions": lambda: bidirectional(4),
    "encoder and decoder": lambda: encoder_and_decoder(3),
    "attention": lambda: encoder_and_decoder(3, attention=True),
    "skipping": lambda: skipping(5),
    "regularised": lambda: regularised(3),
    "multilayer": multilayer,
    "expression": expression,
}
"""By name, graphs that no part of the project has ever seen."""


def at_random(seed: int) -> Tensor:
    """A recurrent computation that nobody thought of: random operations, names, scopes, states and losses."""
    rng = np.random.default_rng(seed)
    T, carried, operations = int(rng.integers(1, 5)), int(rng.integers(1, 4)), int(rng.integers(3, 14))
    weights = [Parameter(rng.normal(size=(H, H)) * 0.5, name=f"W_{k}") for k in range(4)]
    biases = [Parameter(rng.normal(size=H), name=f"b_{k}") for k in range(2)]
    program = rng.integers(0, 9, size=operations)
    picks, names = rng.integers(0, 1000, size=(operations, 2)), rng.random(operations) < 0.35
    scopes = rng.random(operations) < 0.2
    losses = rng.random(T) < 0.4
    states = [start(f"s{k}") for k in range(carried)]
    total: list[Tensor] = [states[0].sum()] if rng.random() < 0.1 else []
    for t in range(1, T + 1):
        with time_step(t):
            pool = [*states, Tensor(rng.normal(size=(B, H)), name="x")]
            for k, operation in enumerate(program):
                a, b = (pool[int(pick) % len(pool)] for pick in picks[k])
                with scope("inner") if scopes[k] else scope("outer"):
                    made = [
                        lambda a=a, b=b, k=k: a @ weights[k % 4].T + b @ weights[(k + 1) % 4].T + biases[k % 2],
                        lambda a=a, k=k: a @ weights[k % 4].T,
                        lambda a=a, b=b: a * b,
                        lambda a=a, b=b: a + b,
                        lambda a=a: tanh(a),
                        lambda a=a: sigmoid(a),
                        lambda a=a: 1.0 - a,
                        lambda a=a, b=b: concatenate([a[:, : H // 2], b[:, H // 2 :]], axis=-1),
                        lambda a=a, k=k: a * biases[k % 2],
                    ][operation]()
                pool.append(made.named(f"v{k}") if names[k] and made is not a else made)
            states = [tanh(value) if value.is_leaf else value for value in pool[-carried:]]
            if losses[t - 1]:
                total.append((pool[-1] * pool[-1]).sum())
    final = stack(states).sum()
    for loss in total:
        final = final + loss
    return final if final.requires_grad else final + (weights[0] * biases[0]).sum()
