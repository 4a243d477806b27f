"""Weights to and from other frameworks, and the courses' matrices: plain dicts of NumPy arrays, no framework needed.

| framework | gates from top to bottom: LSTM, GRU | a matrix acts as | biases |
| --- | --- | --- | --- |
| here | i f g o, u r c | W x, (gates · H, D) | one; the reset-after candidate of a GRU has b_ch beside b_c |
| torch (`models.interop.torch`) | i f g o, r z n | W x | two everywhere |
| Keras (`models.interop.keras`) | i f c o, z r h | x W, (D, gates · H) | one; two rows in a GRU with reset_after |
| ONNX (`models.interop.onnx`) | i o f c, z r h | W x, a leading axis for the directions | two, one after the other |
| C3 and C4 (`models.interop.courses`) | each gate alone, Γ_u Γ_f c̃ Γ_o | W [h, x], (H, H + D) | one |

What the tables of gates do not show, and what is done about it:

- The update gate of C3 multiplies the candidate, z of the three frameworks the previous state: u = 1 − z, so its weights
  and bias change their sign, σ(−a) = 1 − σ(a).
- torch and ONNX always reset after the product (ONNX with linear_before_reset=1), Keras with reset_after=True; C3 resets
  before. The two are different functions; one is never taken for the other.
- Two biases of one gate are only ever added, so they are added when they are read, and when they are written the second
  one is 0, except in the candidate of a GRU that resets after, where they are two different parameters.

Three functions for each: ``to_…`` writes, ``load_…`` puts weights into existing layers, ``from_…`` makes the layers that
they fit. There and back again gives the same bits. ``to_…(layers, grad=True)`` writes gradients as the framework would
have them. A model's `Head` needs no translation: W_yh and b_y are torch's Linear.weight and .bias.
"""

from .courses import from_courses, load_courses, to_courses
from .keras import from_keras, load_keras, to_keras
from .onnx import from_onnx, load_onnx, onnx_attributes, to_onnx
from .torch import from_torch, load_torch, to_torch
from .weights import WeightsError

__all__ = [
    "WeightsError",
    "from_courses",
    "from_keras",
    "from_onnx",
    "from_torch",
    "load_courses",
    "load_keras",
    "load_onnx",
    "load_torch",
    "onnx_attributes",
    "to_courses",
    "to_keras",
    "to_onnx",
    "to_torch",
]
