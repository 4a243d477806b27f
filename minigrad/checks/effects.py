"""What each kind of mistake does to learning."""

from __future__ import annotations

__all__ = ["EFFECTS"]

EFFECTS = {
    "path missing": "what was lost is part of the gradient's direction: training goes down at first, then slower or not at all "
    "where this path matters",
    "activation derivative": "the gradient keeps its sign but not its size, most wrong where the unit is saturated",
    "factor missing": "the gradient no longer depends on the other factor: it is too large where that is near 0",
    "factor doubled": "the gradient is too small wherever the factor is below 1",
    "wrong factor": "the gradient is weighted by the wrong quantity, at random as far as learning is concerned",
    "1 − z for z": "what should be learnt where the gate is open is learnt where it is closed",
    "operand of the wrong step": "the weights learn to answer to a value that they never saw",
    "index −1 wraps round": "the first step uses the last step's value: wrong at t = 1 only, so worst for short sequences",
    "initial state left out": "wrong only where the initial state is not 0, so unnoticed until states are carried on",
    "not transposed": "it fits because the matrix is square; the gradient that goes further back points in the wrong direction",
    "inner product": "all entries of the gradient get the same number: the weights move together, whatever they should learn",
    "wrong upstream gradient": "everything below gets the gradient of another quantity",
    "parts in the wrong order": "parts of the gradient go to the wrong place",
    "lines in the wrong order": "a gradient is read when it is changed already, or not whole yet",
    "operator precedence": "the terms of the sum are weighted against each other wrongly",
    "averaged instead of summed": "this parameter learns slower than all others by the number of examples",
    "one example only": "all other examples are ignored",
    "counted twice": "this part counts double against the rest",
    "sign": "this part goes uphill",
    "factor": "this part counts too much or too little against the rest",
    "softmax derivative": "the error that all else is multiplied by is wrong from the start",
    "state gradient not carried": "nothing is learnt about what happened more than one step ago: it is no backpropagation "
    "through time",
    "state gradient accumulated": "early steps get the gradients of all later ones again and again: they grow with T",
    "states exchanged": "each state gets the other's gradient at every step",
    "truncated": "dependencies longer than the window are not learnt",
    "wrong accumulator": "one gradient is that of two quantities, the other lacks what it is made of",
    "overwritten, not accumulated": "all steps but one are ignored",
    "last step only": "all steps but the last are ignored",
    "some steps only": "what the other steps have to say of it is lost, or counts where it should not",
    "a step is skipped": "one step's part of the gradient is lost, which matters most for short sequences",
    "adds itself": "some steps count many times as much as others: the gradient explodes with T",
    "averaged over the steps": "this parameter learns slower than all others by the number of steps",
    "factor too many": "the gradient is weighted by a quantity that has nothing to do with it",
    "upstream of the wrong step": "each step learns from the error of another step",
    "loop in the wrong direction": "what later steps need is never handed back to the steps that caused it",
}
