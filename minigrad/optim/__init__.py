"""Optimisers, learning-rate schedules and clipping, with PyTorch's formulas, names and defaults.

In every formula θ is a parameter, g its gradient, η the learning rate, and t the number of updates so far, this one
included. All arithmetic is done in the parameter's own dtype; a parameter without a gradient is left alone.

>>> from minigrad import Tensor
>>> theta = Tensor([3.0, -4.0], requires_grad=True)
>>> optimizer = SGD([theta], lr=0.5)
>>> schedule = lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1)
>>> for _ in range(2):
...     optimizer.zero_grad()
...     (theta * theta).sum().backward()
...     norm = clip_grad_norm_(optimizer.parameters, max_norm=5.0)
...     optimizer.step()
...     schedule.step()
...     print(round(norm, 3), theta.numpy().round(3), round(optimizer.lr, 9))
10.0 [ 1.5 -2. ] 0.05
5.0 [ 1.35 -1.8 ] 0.005
"""

from minigrad.clipping import clip_grad_norm_, clip_grad_value_
from minigrad.optim import lr_scheduler
from minigrad.optim.adagrad import Adagrad
from minigrad.optim.adam import Adam, AdamW
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.rmsprop import RMSprop
from minigrad.optim.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "clip_grad_norm_", "clip_grad_value_", "lr_scheduler"]
