"""Backpropagation through time taken apart: which step contributes what to a gradient, and how far gradients reach.

The gradient of a parameter that every step uses is a double sum (C5), over the losses L_t and over the steps k at which
the parameter is used:

    ∂L/∂θ = Σ_t Σ_{k≤t} ∂L_t/∂h_t · (Π_{i=k+1..t} ∂h_i/∂h_{i−1}) · ∂⁺h_k/∂θ

`contributions` gives its terms, `state_jacobians` the products in it, and `gradient_by_time` the sizes of all that arrives
at each step.

*Total and partial derivatives.* ∂⁺h_k/∂θ is *partial*: what the use of θ at step k alone does, with h_{k−1} held fixed.
Everything here that is called the gradient of a state, as everywhere in minigrad, is *total*: ∂L/∂c_t, what ``retain_grad``
keeps as ``c.grad``, is the sum over all ways from c_t to the loss. Of an LSTM there are two:

    ∂L/∂c_t = ∂L/∂h_t ⊙ o_t ⊙ (1 − tanh²(c_t))  +  f_{t+1} ⊙ ∂L/∂c_{t+1}

through the output of its own step, and through the next cell state. The function that a course asks for,
``lstm_cell_backward``, sees one step. What it returns as ``dc_prev`` is f_t ⊙ dc_t: only the part of ∂L/∂c_{t−1} that goes
through c_t. The rest, through h_{t−1}, is added when step t − 1 is differentiated. So a right ``dc_prev`` differs from
``c.grad`` of that step wherever h_{t−1} has a gradient; the two are equal only where h_{t−1} has none. With h it is the
other way round: ``dh_prev`` is all that step t sends to h_{t−1}, to which the loss of step t − 1 is still to be added.
"""

from .by_time import GradientByTime, gradient_by_time
from .jacobians import StateJacobians, state_jacobians
from .terms import Contributions, contributions

__all__ = ["Contributions", "GradientByTime", "StateJacobians", "contributions", "gradient_by_time", "state_jacobians"]
