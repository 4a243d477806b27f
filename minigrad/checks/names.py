"""Which gradient belongs to which quantity, by its name: ``dWf``, ``dW_f``, ``grad_Wf`` are all that of ``Wf``."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

__all__ = [
    "hands_on", "is_arriving", "is_cache", "is_gradient", "is_input", "is_parameter", "is_target", "is_upstream", "match",
    "names_inside", "parameters_of", "returned_names", "says_gradient", "stem", "tree_of", "unmarked",
]  # fmt: skip

PREFIX = re.compile(
    r"^(?:(?:top|bottom)_?diff_?|dL_?d_?|dJ_?d_?|(?-i:d[CES]_?d_?(?=[A-Z]))|dLoss_?d?_?|grads?_?(?:of_)?|gradient_?|delta_?|g_|d_?)(?=[A-Za-zα-ω])",
    re.IGNORECASE,
)
WORDS = re.compile(r"^(?:data|dense|decay|decoder|default|depth|device|direction|dropout|dtype)s?$", re.IGNORECASE)
"""What begins like a gradient and is a word: ``W.data``."""
SHORT = re.compile(r"^g(?=[A-Z])")
SUFFIX = re.compile(r"_?(?:grads?|gradients?|deltas?|updates?|bar|diffs?)$", re.IGNORECASE)
CACHE = re.compile(
    r"^(?:all_?)?(?:caches?|memory|mem|ctx|context|saved|trace|tape|tmp|intermediates?|stash|store|residuals?)s?$",
    re.IGNORECASE,
)
UPSTREAM = re.compile(
    r"^(?:dout|dy|dz|dL|dJ|dloss|d?upstream(?:_?grad(?:ient)?)?|grads?|gradient|grad_?out(?:put)?s?|deltas?|eda|errors?|err|g|"
    r"dvalues?|accum_grad)$",
    re.IGNORECASE,
)
ARRIVING = re.compile(r"err|grad|delta|diff|sens|upstream|back|signal", re.IGNORECASE)
TARGET = re.compile(
    r"^(?:y|t|labels?|targets?|expected|truth|ground_truth|y_?(?:true|train|batch|t|target|label)s?)$", re.IGNORECASE
)
WORD = re.compile(r"(?:^|_)(?:grads?|gradients?|deltas?)(?:_|$)", re.IGNORECASE)
BEFORE = (
    "prevt", "prev_t", "prev", "previous", "last", "old", "before", "init", "initial", "t_minus_1", "minus_1", "tminus1",
    "minus1", "tm1", "t_1", "input",
)  # fmt: skip
AFTER = ("nextt", "next_t", "next", "new", "cur", "current", "out", "after")


@lru_cache(maxsize=4096)
def stem(name: str) -> str:
    """The name without what says that it is a gradient.

    >>> [stem(name) for name in ("dWf", "dW_f", "grad_Wf", "Wf_grad", "gWf", "da_prev", "d_h", "_dW", "_W", "dEdW", "data")]
    ['Wf', 'W_f', 'Wf', 'Wf', 'Wf', 'a_prev', 'h', 'W', '_W', 'W', 'data']
    """
    bare = name.lstrip("_")
    if WORDS.match(bare):
        return name
    shorter = SUFFIX.sub("", bare)
    if not shorter or shorter == bare:
        shorter = PREFIX.sub("", SHORT.sub("d", bare), count=1)
    return name if shorter == bare else shorter


def is_gradient(name: str) -> bool:
    """Whether the name says that it is a gradient."""
    return stem(name) != name


@lru_cache(maxsize=4096)
def says_gradient(name: str) -> bool:
    """Whether one of the words in the name says that it is a gradient, of whatever: ``accum_grad_next``.

    >>> [says_gradient(name) for name in ("accum_grad_next", "dX", "next_h")]
    [True, True, False]
    """
    return is_gradient(name) or bool(WORD.search(name))


def is_cache(name: str) -> bool:
    """Whether the name is one that is usual for what a forward pass keeps."""
    return bool(CACHE.match(name))


def is_input(name: str) -> bool:
    """Whether the name is one that is usual for the input of a step."""
    return bool(unmarked(name) == "x")


def is_target(name: str) -> bool:
    """Whether the name is one that is usual for what a prediction is compared to."""
    return bool(TARGET.match(name))


def is_upstream(name: str) -> bool:
    """Whether the name is one that is usual for the gradient of the only output."""
    return bool(UPSTREAM.match(name))


def is_arriving(name: str) -> bool:
    """Whether the name may be that of what arrives from the layer above.

    >>> [is_arriving(name) for name in ("error_tensor", "top_diff", "y_true", "wanted")]
    [True, True, False, False]
    """
    return bool(ARRIVING.search(name)) and not is_target(name)


def _exact(name: str) -> Any:
    return name.replace("_", "")


@lru_cache(maxsize=4096)
def _ordered(name: str) -> Any:
    """The parts in any order: prev_h and h_prev."""
    word = re.sub(r"(?<=[a-z0-9])_in$", "", name)  # dHout_in arrives from outside
    marks = set()
    for group, mark in ((BEFORE, "before"), (AFTER, "after")):
        for part in group:
            found = re.search(rf"(?:^{part}_?(?=[A-Za-z])|(?<=[A-Za-z0-9])_?{part}$)", word)
            if found and found.group() != word:
                word = word[: found.start()] + word[found.end() :]
                marks.add(mark)
    if word.endswith("0") and len(word) > 1:
        word, marks = word[:-1].rstrip("_"), marks | {"before"}
    return word.replace("_", ""), frozenset(marks)


@lru_cache(maxsize=4096)
def _loose(name: str) -> Any:
    word, marks = _ordered(name)
    word = word.lower()
    word = re.sub(r"(?<=[a-z])(?:s|t)$", "", word) if len(word) < 4 else word
    return {"input": "x", "inputs": "x", "hidden": "h", "cell": "c", "ct": "c", "ht": "h"}.get(word, word), marks


def unmarked(name: str) -> Any:
    """The name without what says before or after: that of ``h_prev`` and of ``h_next``."""
    return _loose(name)[0]


def _opposed(name: str, other: str) -> bool:
    """Whether one is of before and the other of after: ``h_next`` may be what goes on to ``h_prev``, if the shapes fit."""
    return bool(_loose(name)[1] ^ _loose(other)[1] == {"before", "after"})


@lru_cache(maxsize=4096)
def _words(name: str) -> Any:
    """The words of a name, or of where something is kept: bias_forget and biases.forget."""
    return [re.sub(r"(?<=s)es$|(?<![as])s$", "", word) for word in re.split(r"[._]+", name.lower())]


LEVELS: tuple[Callable[[str], Any], ...] = (_exact, _ordered, _loose, unmarked, _words)


def match(given: Iterable[str], wanted: Sequence[str], fits: Callable[[str, str], bool]) -> dict[str, str]:
    """For each given name the wanted one that it stands for, nearest readings first; what stays open is left out.

    Args:
        given: names, already without what says that they are gradients.
        wanted: the names that there are.
        fits: whether the two can belong together (by their shapes).

    >>> match(["prev_h", "Wx", "b"], ["x", "h_prev", "W_x", "b"], lambda a, b: True)
    {'Wx': 'W_x', 'b': 'b', 'prev_h': 'h_prev'}
    >>> match(["weights_out", "bias_out"], ["weights.out", "biases.out"], lambda a, b: True)
    {'weights_out': 'weights.out', 'bias_out': 'biases.out'}
    """
    open_given, open_wanted, found = list(given), list(wanted), dict[str, str]()
    for level in LEVELS:
        read = {name: level(name) for name in (*open_given, *open_wanted)}
        for name in list(open_given):
            candidates = [other for other in open_wanted if read[name] == read[other]]
            if len(candidates) > 1 or any(_opposed(name, other) for other in candidates):
                candidates = [other for other in candidates if fits(name, other)]
            rivals = [other for other in open_given if candidates and read[other] == read[candidates[0]]]
            if len(candidates) == 1 and len(rivals) == 1:
                found[name] = candidates[0]
                open_given.remove(name)
                open_wanted.remove(candidates[0])
    return found


def parameters_of(function: Any) -> dict[str, inspect.Parameter]:
    """The parameters of a function, by name."""
    return dict(inspect.signature(function).parameters)


def returned_names(function: Any) -> list[str | None] | None:
    """What the code calls each value that a function returns; None if its source cannot be read.

    >>> def step(x, h):
    ...     return x + h, {"a": h}, (x, h)
    >>> returned_names(stem)
    [None]
    """
    value = _returned(function)[0]
    if value is None:
        return None
    parts = value.elts if isinstance(value, ast.Tuple | ast.List) else [value]
    whole = {part.id for part in parts if isinstance(part, ast.Name)}  # of cs and cs[-1], cs is called cs
    called = [_called(function, part) for part in parts]
    return [
        None if name in whole and not isinstance(part, ast.Name) else name for name, part in zip(called, parts, strict=True)
    ]


def _called(function: Any, part: ast.AST) -> str | None:
    """The name of a returned value; what a call makes of an argument, ``model.run(x)``, is not called as that is."""
    name = _name_of(part)
    return None if isinstance(part, ast.Call) and name in parameters_of(function) else name


def hands_on(function: Any) -> str | None:
    """What the function is called whose results this one returns as they are: ``return net.backward(dh)``."""
    value = _returned(function)[0]
    called = value.func if isinstance(value, ast.Call) else None
    return _name_of(called) if isinstance(called, ast.Name | ast.Attribute) else None


def names_inside(function: Any) -> list[list[str | None]]:
    """For each value that a function returns, what the code calls its parts, where it is written or assigned as a list."""
    value, assigned = _returned(function)
    if value is None:
        return []
    inside = []
    for part in value.elts if isinstance(value, ast.Tuple | ast.List) else [value]:
        written = assigned.get(part.id) if isinstance(part, ast.Name) else part
        inside.append([_name_of(inner) for inner in written.elts] if isinstance(written, ast.Tuple | ast.List) else [])
    return inside


def tree_of(function: Any) -> ast.AST | None:
    """The source of a function, read; None if it cannot be."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return None


@lru_cache(maxsize=64)
def _returned(function: Any) -> tuple[Any, dict[str, Any]]:
    """What stands behind the last return of a function, and what is assigned to each name in it."""
    tree = tree_of(function)
    if tree is None:
        return None, {}
    returns = [node for node in ast.walk(tree) if isinstance(node, ast.Return | ast.Lambda)]
    if not returns:
        return None, {}
    assigned = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    last = max(returns, key=lambda node: (isinstance(node, ast.Return), node.lineno))
    return last.value if isinstance(last, ast.Return) else last.body, assigned


PARAMETER = re.compile(r"^(?:[WUVRBwuvb]|theta|bias|weight|kernel)(?:$|[_A-Z0-9]|[a-z]{1,4}(?:$|_)|ias|eight)")


@lru_cache(maxsize=4096)
def is_parameter(name: str) -> bool:
    """Whether the name is one that is usual for weights and biases.

    >>> [is_parameter(name) for name in ("Wxh", "b_f", "bias", "Uz", "x", "h_prev")]
    [True, True, True, True, False, False]
    """
    return bool(PARAMETER.match(name.rsplit(".", 1)[-1]))


def _name_of(node: Any) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        inner = node.slice
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            return inner.value
        return _name_of(node.value)
    if isinstance(node, ast.Call):
        name = node.func
        if isinstance(name, ast.Attribute) and name.attr in ("copy", "reshape", "squeeze", "ravel", "transpose"):
            return _name_of(name.value)
        if isinstance(name, ast.Attribute) and not (isinstance(name.value, ast.Name) and name.value.id in ("np", "numpy")):
            return None  # x.T.dot(da) is not called da
        return _name_of(node.args[0]) if len(node.args) == 1 else None
    return None
