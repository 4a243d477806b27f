"""What kind of mistake a line has, told by what it and the line as it should be do not have in common."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from minigrad.checks import names
from minigrad.checks.located.edit import WRAPS
from minigrad.checks.located.lines import BEHIND, BEHIND_IF, Line
from minigrad.checks.located.statements import INDEX, ONCE, SOFTMAX

__all__ = ["IN_ORDER", "LEFT", "STORED", "factors_of", "kind_of"]

IN_ORDER = "lines in the wrong order"
LEFT = "the loop is left at its first step"
PRODUCT = "a product for a sum"
STORED = "stored at the wrong place"
CURVE = re.compile(r"^\(?1 - [^+]*\*\* ?2\)?$|^\(?1 - (.+) \* \1\)?$|^(\S+) \* \(1 - \2\)$|^\(?1 - (np|numpy)\.square\(.*$")
"""What the derivative of an activation looks like."""
STEP_BEFORE = re.compile(r"^(.+)\[(\w+) - 1\](.*) if \2 > 0 else .*$")
"""What is of the step before, and zeros at the first step."""
CARRIED = re.compile(r"next|prev|carr|back|later|future|nxt", re.IGNORECASE)


def kind_of(line: Line, hint: str = "", wraps: bool = False) -> tuple[str, str]:
    """The kind of mistake, and a sentence about it.

    Args:
        line: as it is and as it should be.
        hint: what the search knows of the kind already.
        wraps: whether it knows of a line that is wrong at the first steps alone.
    """
    old, new = line.trees
    if hint == STORED:
        return STORED, f"`{line.old or line.new}` keeps for the backward pass what is there before or after the step, not at it"
    if not line.new:
        if isinstance(old, ast.Assign) and isinstance(old.value, ast.Tuple) and _is_exchange(_elements(old), old.value.elts):
            return "gradients exchanged", f"`{line.old}` hands each to the other, and does not belong there"
        divided = isinstance(old, ast.AugAssign) and isinstance(old.op, ast.Div)
        return "factor" if divided else hint or "a line too many", f"`{line.old}` does not belong there"
    if not line.old:
        carries = " = " in line.new and "+=" not in line.new
        if carries and new is not None and _is_handed_on(line, _assigned(new)):
            return "factor missing", f"`{line.new}` is missing: {_assigned(new)} goes on to the step before as it is"
        return ("state gradient not carried" if carries else "never computed"), f"`{line.new}` is missing"
    assert old is not None
    assert new is not None
    if line.new == line.old + BEHIND:
        return LEFT, f"`{line.old}` stands in the loop, which it ends after one step: it belongs behind it"
    if line.new == line.old + BEHIND_IF:
        return "some steps only", f"`{line.old}` stands under a condition: it belongs behind it, to be done at every step"
    if hint == INDEX and isinstance(old, ast.AugAssign) and isinstance(new, ast.AugAssign):
        return INDEX, (
            f"`{ast.unparse(old.value)}` multiplies with an index as if it were a vector: {ast.unparse(new.value)} belongs in "
            f"{ast.unparse(new.target)} alone"
        )
    if hint == ONCE:
        return "some steps only", f"what {_assigned(old)} gets at every step arrives at the last one alone"
    if hint == IN_ORDER:
        first, second = sorted((line.old, line.new))
        return hint, f"`{first}` and `{second}` stand in the wrong order"
    old, new = _one_of_several(old, new)
    of = _assigned(old)
    if type(old) is not type(new):
        if isinstance(old, ast.AugAssign) and isinstance(old.op, ast.Mult) and isinstance(new, ast.Assign):
            was, is_now = ast.unparse(old.value), ast.unparse(new.value)
            return hint or "wrong factor", f"{of} is multiplied by {was}: it should be {is_now}"
        if isinstance(old, ast.AugAssign):
            what = "added to what is there already" if isinstance(old.op, ast.Add) else "subtracted"
            return "state gradient accumulated", f"{of} is {what}, where it has to be set"
        if isinstance(new, ast.AugAssign):
            return "overwritten, not accumulated", f"{of} is overwritten, where it has to be added up"
    if isinstance(old, ast.AugAssign) and isinstance(new, ast.AugAssign) and type(old.op) is not type(new.op):
        return "sign", f"what is added to {of} has the wrong sign"
    if isinstance(old, ast.If) and isinstance(new, ast.If) and isinstance(new.test, ast.Constant):
        return "some steps only", f"`{line.old}` does not belong there: what follows is to be done at every step"
    if isinstance(old, ast.If | ast.While):
        return "some steps only", f"`{line.old}` should be `{line.new}`: what follows is done at the wrong steps"
    if isinstance(old, ast.Assign) and isinstance(old.targets[0], ast.Tuple) and _same_value(old, new):
        pairs_of_names = zip(old.targets[0].elts, _elements(new), strict=False)
        parts = " and ".join(ast.unparse(one) for one, other in pairs_of_names if ast.dump(one) != ast.dump(other))
        return "parts in the wrong order", f"{parts} are exchanged: {ast.unparse(old.value)} holds them in another order"
    if (target := _assigned(new)) != of and type(old) is type(new) and _same_value(old, new):
        if hint == SOFTMAX and "(" in of:
            return hint, f"{of} is the entry of another step: it should be {target}"
        what = "added to" if isinstance(old, ast.AugAssign) else "set"
        return "wrong accumulator", f"{of} is {what}, where {target} should be"
    if isinstance(old, ast.For) and (hint or "range" in line.old):
        return hint or "a step is skipped", f"the loop goes over `{ast.unparse(old.iter)}`, and should go over `{_iter(new)}`"
    pairs = list(_differing(old, new, None))
    loops = any(isinstance(node, ast.For) for node in ast.walk(line.function.tree))
    if len(pairs) == 2 and [ast.dump(part) for part in pairs[0][:2]] == [ast.dump(part) for part in pairs[1][1::-1]]:
        first, second = (ast.unparse(part) for part in pairs[0][:2])
        gradients = all(re.fullmatch(r"[\w.]+", name) and names.is_gradient(name) for name in (first, second))
        return "gradients exchanged" if gradients else "parts in the wrong order", f"{first} and {second} are exchanged"
    if len(pairs) == 2 and (product := _of_turned(pairs)):
        return "inner product", f"{product} in {of} is one number for all entries, where the outer product should be"
    if len(pairs) == 1:
        one, other, curve = pairs[0]
        if curve is not None:
            was, is_now = (ast.unparse(part) for part in curve)
            if _is_regrouped(*curve):
                return _of_brackets(was, is_now, of)
            mine, theirs = (Counter(factors_of(part)) for part in curve)
            if CURVE.match(was) and mine < theirs:  # the slope is there, and what it is multiplied by is not
                return "factor missing", f"the factor {' * '.join((theirs - mine).elements())} is missing in {of}"
            return "activation derivative", f"{was} stands for the derivative of the activation in {of}: it should be {is_now}"
        if wraps and isinstance(one, ast.Subscript) and isinstance(one.slice, ast.BinOp) and isinstance(one.slice.op, ast.Sub):
            was, is_now = ast.unparse(one), ast.unparse(other)
            return WRAPS, f"{was} in {of} is not {is_now} at the first step: the index −1 wraps round"
        return _of_pair(one, other, of, loops)
    said = [_of_pair(one, other, of, loops) for one, other, _ in pairs]
    if len({kind for kind, _ in said}) == 1:
        return said[0][0], "; ".join(words for _, words in said)
    return hint or "several terms", "; ".join(words for _, words in said)


def _is_handed_on(line: Line, name: str) -> bool:
    """Whether the loop at whose end a line is missing gives the name a value elsewhere."""
    loops = [node for node in ast.walk(line.function.tree) if isinstance(node, ast.For) and node.body[-1] is line.statement]
    stored = [n.id for n in ast.walk(loops[-1]) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)] if loops else []
    return name in stored


def _one_of_several(old: ast.AST, new: ast.AST) -> tuple[ast.AST, ast.AST]:
    """Of a line that gives several names their values at once, ``a, b = x, y``, the one name whose value is another."""
    if not isinstance(old, ast.Assign) or not isinstance(new, ast.Assign):
        return old, new
    rows = [_elements(old), _elements(new), *(n.value.elts if isinstance(n.value, ast.Tuple) else [] for n in (old, new))]
    if len({len(row) for row in rows}) > 1:
        return old, new
    targets, moved, were, are = rows
    differing = [k for k in range(len(were)) if ast.dump(were[k]) != ast.dump(are[k])]
    if len(differing) != 1 or list(map(ast.dump, targets)) != list(map(ast.dump, moved)):
        return old, new
    (k,) = differing
    return ast.Assign([targets[k]], were[k]), ast.Assign([targets[k]], are[k])


def _is_exchange(targets: Sequence[ast.expr], values: Sequence[ast.expr]) -> bool:
    """Whether names are given the values of one another: ``a, b = b, a``."""
    mine, theirs = map(ast.unparse, targets), map(ast.unparse, values)
    return len(targets) > 1 and sorted(mine) == sorted(theirs)


def _summed(text: str) -> list[str]:
    """The names in a sum, without those that say over which axis."""
    return sorted(set(re.findall(r"[A-Za-z_]\w*", text)) - {"axis", "keepdims", "True", "False"})


def _elements(tree: ast.AST) -> list[ast.expr]:
    target = tree.targets[0] if isinstance(tree, ast.Assign) else None
    return target.elts if isinstance(target, ast.Tuple) else []


def _same_value(old: ast.AST, new: ast.AST) -> bool:
    one, other = (getattr(node, "value", None) for node in (old, new))
    return isinstance(one, ast.AST) and isinstance(other, ast.AST) and ast.dump(one) == ast.dump(other)


def _iter(tree: ast.AST) -> str:
    return ast.unparse(tree.iter) if isinstance(tree, ast.For) else ""


def _assigned(tree: ast.AST) -> str:
    targets = tree.targets if isinstance(tree, ast.Assign) else [tree.target] if isinstance(tree, ast.AugAssign) else []
    return ", ".join(ast.unparse(target) for target in targets) or "the result"


_Pair: TypeAlias = tuple[ast.AST, ast.AST]


def _differing(old: ast.AST, new: ast.AST, curve: _Pair | None) -> Iterator[tuple[ast.AST, ast.AST, _Pair | None]]:
    """The smallest parts in which two trees differ, each with the derivative of an activation that it is in, if it is."""
    if ast.dump(old) == ast.dump(new):
        return
    mine, theirs = list(ast.iter_child_nodes(old)), list(ast.iter_child_nodes(new))
    if (
        curve is None
        and isinstance(old, ast.expr)
        and (CURVE.match(ast.unparse(new)) or CURVE.match(ast.unparse(old)))
        and isinstance(old, ast.BinOp)
    ):
        curve = old, new
    if type(old) is not type(new) or len(mine) != len(theirs) or _is_whole(old, new):
        yield old, new, curve
        return
    for one, other in zip(mine, theirs, strict=True):
        yield from _differing(one, other, curve)


def _is_whole(old: ast.AST, new: ast.AST) -> bool:
    """Whether two nodes of one type are different as a whole, not in one of their parts."""
    if isinstance(old, ast.BinOp):
        return _regrouped(old, new)
    if isinstance(old, ast.Attribute) and isinstance(new, ast.Attribute):
        return old.attr != new.attr
    if isinstance(old, ast.Subscript) and isinstance(new, ast.Subscript):
        return ast.dump(old.slice) != ast.dump(new.slice)
    if isinstance(old, ast.Call) and isinstance(new, ast.Call):
        same = ast.dump(old.func) == ast.dump(new.func)
        moved = isinstance(old.func, ast.Attribute) and isinstance(new.func, ast.Attribute) and old.func.attr == new.func.attr
        options = [[ast.dump(option) for option in node.keywords] for node in (old, new)]
        return not (same or moved) or options[0] != options[1]
    return isinstance(old, ast.Name | ast.Constant | ast.UnaryOp)


def _regrouped(old: ast.BinOp, new: ast.AST) -> bool:
    """Whether two sums or products differ in more than one operand: they are then compared as a whole."""
    assert isinstance(new, ast.BinOp)
    same = (ast.dump(old.left) == ast.dump(new.left)) + (ast.dump(old.right) == ast.dump(new.right))
    sides = [(old.left, new.left), (old.right, new.right)]
    each = isinstance(old.op, ast.Mult) and all(_names_in(a) == _names_in(b) and type(a) is type(b) for a, b in sides)
    return type(old.op) is not type(new.op) or not (same or each)


def _names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _terms(node: ast.AST, sign: str = "") -> Iterator[str]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield from _terms(node.left, sign)
        yield from _terms(node.right, sign if isinstance(node.op, ast.Add) else "" if sign else "-")
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield from _terms(node.operand, "" if sign else "-")
    else:
        yield f"{sign}{ast.unparse(node)}"


def factors_of(node: ast.AST) -> Iterator[str]:
    """The factors of a product, as texts."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield from factors_of(node.left)
        yield from factors_of(node.right)
    else:
        is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
        yield f"({ast.unparse(node)})" if is_sum else ast.unparse(node)


def _is_transposed(node: ast.AST, plain: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "T" and ast.dump(node.value) == ast.dump(plain)


def _of_turned(pairs: Sequence[tuple[ast.AST, ast.AST, _Pair | None]]) -> str:
    """The product a.T @ b, where it should be a @ b.T; "" if it is anything else."""
    (a, new_a, _), (b, new_b, _) = pairs
    return f"{ast.unparse(a)} @ {ast.unparse(b)}" if _is_transposed(a, new_a) and _is_transposed(new_b, b) else ""


def _is_regrouped(old: ast.AST, new: ast.AST) -> bool:
    """Whether two formulas are made of the same in the same order, with other brackets."""
    was, is_now = (re.findall(r"[^\s()]+", ast.unparse(node)) for node in (old, new))
    return was == is_now


def _is_product_for_sum(old: ast.AST, new: ast.AST) -> bool:
    """Whether the two sides of a product should be added."""
    if not isinstance(old, ast.BinOp) or not isinstance(new, ast.BinOp):
        return False
    same = ast.dump(old.left) == ast.dump(new.left) and ast.dump(old.right) == ast.dump(new.right)
    return same and isinstance(old.op, ast.Mult) and isinstance(new.op, ast.Add)


def _of_brackets(was: str, is_now: str, of: str) -> tuple[str, str]:
    return "operator precedence", f"the brackets in {was}, in {of}, are wrong: it should be {is_now}"


def _factors_exchanged(old: ast.AST, new: ast.AST) -> bool:
    """Whether two matrix products have the same factors the other way round."""
    pairs = [
        [ast.dump(part) for part in (node.left, node.right)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)
        else []
        for node in (old, new)
    ]
    return bool(pairs[0]) and pairs[0] == pairs[1][::-1]


def _of_pair(old: ast.AST, new: ast.AST, of: str, loops: bool) -> tuple[str, str]:
    """What is wrong where one part stands in the place of another."""
    was, is_now = ast.unparse(old), ast.unparse(new)
    if _is_regrouped(old, new):
        return _of_brackets(was, is_now, of)
    if _is_product_for_sum(old, new):
        return PRODUCT, f"{was} in {of} is a product, and should be a sum: {is_now}"
    if _factors_exchanged(old, new):
        return "parts in the wrong order", f"the factors of {was}, in {of}, are exchanged: it should be {is_now}"
    if isinstance(new, ast.IfExp) and ast.dump(new.body) == ast.dump(old):
        if isinstance(new.test, ast.Compare) and isinstance(new.test.ops[0], ast.Gt):
            return WRAPS, f"{was} in {of} is the last one at the first step: the index −1 wraps round"
        return "upstream of the wrong step", f"{was} belongs to the last step alone, and is taken at every step in {of}"
    if _is_transposed(new, old):
        return "not transposed", f"{was} is not transposed in {of}, and should be"
    if _is_transposed(old, new):
        return "not transposed", f"{is_now} is transposed in {of}, and should not be"
    if isinstance(old, ast.Subscript) and isinstance(new, ast.Subscript) and ast.dump(old.value) == ast.dump(new.value):
        if _other_ends(old.slice, new.slice):
            return "parts in the wrong order", f"{was}, in {of}, is the wrong end of what was joined: it should be {is_now}"
        base = ast.unparse(old.value)
        what = "upstream" if names.is_gradient(base) or names.is_upstream(base) else "operand"
        return f"{what} of the wrong step", f"{was} stands in {of} in the place of {is_now}"
    if before := STEP_BEFORE.match(is_now):
        name = f"{before.group(1)}[{before.group(2)} - 1]{before.group(3)}"
        said = f"{was} stands in {of} in the place of {name}, that of the step before (0 at the first)"
        return "operand of the wrong step", said
    if is_now in (f"-{was}", f"-({was})") or was in (f"-{is_now}", f"-({is_now})"):
        return "sign", f"{was} in {of} has the wrong sign: it should be {is_now}"
    if isinstance(old, ast.IfExp) and {ast.unparse(old.body), ast.unparse(old.orelse)} <= set(_terms(new)):
        return "path missing", f"{of} has one of the terms of {is_now} at each step: the other is missing"
    lost, extra = Counter(_terms(new)), Counter(_terms(old))
    lost, extra = lost - Counter(_terms(old)), extra - Counter(_terms(new))
    if len(list(_terms(new))) > 1 or len(list(_terms(old))) > 1:
        if lost and not extra:
            (term, *_) = lost
            if f"{of.partition('[')[0]}.get(" in term:
                return "overwritten, not accumulated", f"{of} is overwritten, where it has to be added up"
            carried = loops and CARRIED.search(term) is not None and re.fullmatch(r"[\w.]+", term) is not None
            return ("state gradient not carried" if carried else "path missing"), f"{' + '.join(lost)} is missing in {of}"
        if extra and not lost:
            if list(extra) == [of]:
                return "adds itself", f"{of} is added to itself"
            twice = any(term in set(_terms(new)) for term in extra)
            return ("counted twice" if twice else "a term too many"), f"{' + '.join(extra)} does not belong in {of}"
        if {term.lstrip("-") for term in lost} == {term.lstrip("-") for term in extra}:
            return "sign", f"{was} has the wrong sign in {of}: it should be {is_now}"
    return _of_factors(old, new, of)


def _of_factors(old: ast.AST, new: ast.AST, of: str) -> tuple[str, str]:
    was, is_now = ast.unparse(old), ast.unparse(new)
    mine, theirs = Counter(factors_of(old)), Counter(factors_of(new))
    lost, extra = list((theirs - mine).elements()), list((mine - theirs).elements())
    single = [text for text, factors in ((was, mine), (is_now, theirs)) if len(factors) < 3]
    curved = any(CURVE.match(text) for text in (*lost, *extra, *single)) or _gate(lost) or _gate(extra)
    curved = curved or (
        len(lost) == 1 and not extra and _gate([lost[0], *(f for f in theirs if lost[0] in f and f != lost[0])][:2])
    )
    kind = "activation derivative"
    if lost and not extra:
        return (kind if curved else "factor missing"), f"the factor {' * '.join(lost)} is missing in {of}"
    if extra and not lost:
        if extra == ["0"]:
            return (
                "state gradient not carried" if CARRIED.search(is_now) else "never computed"
            ), f"{was} stands for {is_now} in {of}"
        if extra == ["2"]:
            return "counted twice", f"the factor 2 does not belong in {of}"
        if all(re.fullmatch(r"[\d.]+", factor) for factor in extra):
            return "factor", f"the factor {' * '.join(extra)} does not belong in {of}"
        doubled = any(factor in theirs for factor in extra)
        plain = "factor doubled" if doubled else "factor too many"
        return (kind if curved and not doubled else plain), f"the factor {' * '.join(extra)} does not belong in {of}"
    if was.startswith("np.zeros") or was == "0":
        carried = CARRIED.search(is_now) is not None
        return ("state gradient not carried" if carried else "never computed"), f"{of} is {was}, and should be {is_now}"
    if isinstance(old, ast.BinOp) and isinstance(old.op, ast.Div) and ast.unparse(old.left) == is_now:
        mean = "averaged instead of summed" if "sum(" in is_now else "factor"
        return mean, f"{of} is divided by {ast.unparse(old.right)}, and should not be"
    if re.search(r"\bmean\(", was) and "sum(" in is_now:
        return "averaged instead of summed", f"{of} is averaged, and should be summed"
    if "sum(" in was and "sum(" in is_now and _summed(was) == _summed(is_now):
        return "summed over the wrong axis", f"{was} in {of} should be {is_now}"
    if curved:
        return kind, f"{was} stands for the derivative of the activation in {of}: it should be {is_now}"
    if sorted(re.findall(r"\w+", was)) == sorted(re.findall(r"\w+", is_now)) and len(was) > 12:
        return _of_brackets(was, is_now, of)
    tokens = [re.findall(r"\w+", text) for text in (was, is_now)]
    swapped = {pair for pair in zip(*tokens, strict=False) if pair[0] != pair[1]}
    if len(tokens[0]) == len(tokens[1]) and len(swapped) == 1:
        one, other = swapped.pop()
        return _kind_of_swap(one, other), f"{one} stands in {of} in the place of {other}"
    return _kind_of_swap(was, is_now), f"{was} stands in {of} in the place of {is_now}"


def _other_ends(old: ast.expr, new: ast.expr) -> bool:
    """Whether one index takes a beginning and the other an end, of more entries than one: [:n] and [-n:]."""
    pairs = zip(*(index.elts if isinstance(index, ast.Tuple) else [index] for index in (old, new)), strict=False)
    parts = [pair for pair in pairs if ast.dump(pair[0]) != ast.dump(pair[1])]
    if len(parts) != 1 or not all(isinstance(part, ast.Slice) for part in parts[0]):
        return False
    begins, ends = sorted(parts[0], key=lambda part: part.lower is not None)
    bounds = [begins.lower, begins.upper, ends.lower, ends.upper]
    single = [ast.unparse(bound) in ("1", "-1") for bound in bounds if bound is not None]
    return [bound is None for bound in bounds] == [True, False, False, True] and not any(single)


def _gate(lost: list[str]) -> bool:
    """Whether the factors are y (1 − y), or one of these beside the other."""
    return len(lost) == 2 and (lost[1].strip("()") == f"1 - {lost[0]}" or lost[0].strip("()") == f"1 - {lost[1]}")


def _kind_of_swap(was: str, is_now: str) -> str:
    bases = [re.sub(r"\[[^\[\]]*\]", "", text).removesuffix(".T") for text in (was, is_now)]
    if bases[0] == bases[1] and was != is_now:
        return "upstream of the wrong step" if names.is_gradient(bases[0]) else "operand of the wrong step"
    if all(re.fullmatch(r"[\w.]+", base) and names.is_gradient(base) for base in bases):
        return "wrong upstream gradient"
    if names.unmarked(bases[0]) == names.unmarked(bases[1]):
        return "operand of the wrong step"
    if is_now.replace(" ", "") == f"1-{was}" or was.replace(" ", "").strip("()") == f"1-{is_now}":
        return "1 − z for z"
    return "wrong factor"
