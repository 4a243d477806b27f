"""A step that looks at the values of its state goes its own way at every step, however it looks at them."""

from collections.abc import Callable

import numpy as np
import pytest

from minigrad import Tensor, scan

XS = np.array([0.0, 1.0, 1.0, 0.5, 2.0])

READ: dict[str, Callable[[Tensor], bool]] = {
    "in": lambda h: 1.0 in h,
    "bool()": lambda h: bool(h == 1.0),
    "float()": lambda h: float(h.detach()) == 1.0,
    "int()": lambda h: int(h.detach()) == 1,
    "item()": lambda h: h.item() == 1.0,
    "numpy()": lambda h: h.numpy()[0] == 1.0,
    "tolist()": lambda h: h.tolist() == [1.0],
    "data": lambda h: h.data[0] == 1.0,
    "repr": lambda h: "[1.]" in repr(h),
}


@pytest.mark.parametrize("how", READ)
def test_a_step_that_reads_its_state_has_the_results_of_the_plain_loop(how: str) -> None:
    def step(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        new = h + x if READ[how](h) else h * 2.0 + x
        return new, new

    xs, start = Tensor(XS.reshape(5, 1), requires_grad=True), Tensor([1.0], requires_grad=True)
    _, ys = scan(step, start, xs)
    ys.sum().backward()

    rows, h = [Tensor([x], requires_grad=True) for x in XS], Tensor([1.0], requires_grad=True)
    states, first = [], h
    for row in rows:
        h = h + row if READ[how](h) else h * 2.0 + row
        states.append(h)
    sum(states[1:], states[0]).sum().backward()
    np.testing.assert_array_equal(ys.numpy(), [state.numpy() for state in states])
    np.testing.assert_array_equal(xs.grad, [row.grad for row in rows])
    np.testing.assert_array_equal(start.grad, first.grad)
