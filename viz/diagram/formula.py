"""What is written in the box of an affine expression: W·x + W·h + b, with the names of its parameters and operands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from ..text import Line, Span, literal, symbol_name
from .folding import Folding
from .places import BEFORE
from .vertices import Vertex

__all__ = ["affine_terms", "is_telling", "join", "number_of", "transposes", "wrap"]

PLUS, MINUS, TIMES = Span(" + "), Span(" − "), Span("·")
NAMELESS = Span("const")
OMITTED = Span("…")
LOOK_UPS = frozenset({"embedding", "take"})


def unarranged(folding: Folding, i: int) -> int:
    """What a nameless slice or reshape was made from."""
    return folding.base(i)


def name_of(folding: Folding, i: int) -> Line | None:
    """The name of a node, or of what it is a slice of."""
    i = unarranged(folding, i)
    name = folding.recorded.nodes[i].name
    return None if name is None else symbol_name(name, part=folding.part.get(i))


def operand(folding: Folding, i: int | None, spell_out: bool = True, factor: bool = False) -> Line:
    """How an operand is written inside a formula: its name, an expression of one or two named operands, or three dots.

    What was computed once for all steps is spelt out in parentheses, and so is an expression that is a factor.
    """
    if i is None:
        return (NAMELESS,)
    named = name_of(folding, i)
    if named is not None:
        return named
    recorded = folding.recorded
    if folding.affine[i] and recorded.place[i] == BEFORE and recorded.steps and spell_out:
        return (Span("("), *join(affine_terms(folding, folding.members(i), spell_out=False)), Span(")"))
    i = unarranged(folding, i)
    names = [name_of(folding, j) for _, j in recorded.inputs[i]]
    label, symbol = folding.label[i], recorded.nodes[i].symbol
    if label == "stack" and len(set(names)) == 1:
        return names[0] or (OMITTED,)
    if label == "concatenate":
        return _listed([operand(folding, j, spell_out) for _, j in recorded.inputs[i]])
    if label in LOOK_UPS and names and names[0]:
        return (*names[0], Span("[…]"))
    if label == "matmul" and any(names):
        first, second = (j for _, j in (reversed(recorded.inputs[i]) if transposes(recorded.nodes[i]) else recorded.inputs[i]))
        written = product(folding, first, second, set(), spell_out)
        return (Span("("), *written, Span(")")) if factor else written
    if len(names) == 2 and len(symbol) == 1 and any(names):
        inner = (*_factor(folding, i, 0), Span(symbol), *_factor(folding, i, 1))
        return (Span("("), *inner, Span(")")) if factor or symbol != "⊙" else inner
    return (OMITTED,)


def _listed(parts: list[Line]) -> Line:
    """Parts side by side: [h, x]; nameless ones in a row are one omission."""
    told = [part for k, part in enumerate(parts) if part != (OMITTED,) or k == 0 or parts[k - 1] != (OMITTED,)]
    return (Span("["), *[span for part in told for span in (Span(", "), *part)][1:], Span("]"))


def _factor(folding: Folding, i: int, slot: int) -> Line:
    """An operand of a product inside a formula: its name, or the affine expression that it is, in parentheses."""
    j = folding.recorded.inputs[i][slot][1]
    name = name_of(folding, j)
    if name is None and folding.affine[unarranged(folding, j)]:
        terms = affine_terms(folding, folding.members(unarranged(folding, j)), spell_out=False)
        return (Span("("), *join(terms), Span(")"))
    return name or (OMITTED,)


def transposes(vertex: Vertex) -> bool:
    """Whether a product is x @ W.T, a matrix applied to rows."""
    return bool(getattr(vertex.operation, "transpose_b", False))


def number_of(vertex: Vertex) -> str:
    """The number among the operands of an operation; const if it is an array, or none that the operation tells."""
    value = getattr(vertex.operation, "number", None)
    return NAMELESS.text if value is None else literal(value)


def affine_terms(folding: Folding, members: Collection[int], spell_out: bool = True) -> list[Line]:
    """The terms of the affine expression made of ``members``, each after its sign, in the order they were added.

    Several results that are the same sum, as the gates of one product are, have it written once.
    """
    recorded = folding.recorded
    inside = set(members)
    results = [i for i in sorted(inside) if not any(k in inside for k, _ in recorded.consumers[i])]
    first, *others = [_terms_of(folding, result, inside, spell_out) for result in results]
    if len(set(first)) == len(first) and all(terms == first for terms in others):
        return first
    terms = Counter(first)
    for other in others:
        terms |= Counter(other)
    return list(terms.elements())


def _terms_of(folding: Folding, result: int, inside: set[int], spell_out: bool) -> list[Line]:
    """The terms of one result; what it is made of a second time is left out."""
    recorded = folding.recorded
    stack: list[tuple[int | None, Span, Vertex]] = [(result, PLUS, recorded.nodes[result])]
    seen: set[int] = set()
    terms: list[Line] = []
    while stack:
        i, sign, user = stack.pop()
        if i is None:
            terms.append((sign, Span(number_of(user))))
        elif i not in inside:
            terms.append((sign, *operand(folding, i, spell_out)))
        elif i in seen:
            terms.append((sign, OMITTED))
        else:
            seen.add(i)
            vertex, minus = recorded.nodes[i], PLUS if sign is MINUS else MINUS
            sources = [None if source is None else recorded.number[source] for source in vertex.inputs]
            if vertex.label == "matmul":
                first, second = reversed(sources) if transposes(vertex) else sources
                terms.append((sign, *product(folding, first, second, inside, spell_out)))
            else:
                signs = (sign, minus if vertex.label == "sub" else sign)
                stack += [(source, its, vertex) for source, its in zip(sources, signs, strict=False)][::-1]
    return terms


def is_telling(terms: list[Line]) -> bool:
    """Whether a formula says more than that something is added up."""
    return any(span is not OMITTED for term in terms for span in term[1:])


def product(folding: Folding, first: int | None, second: int | None, inside: set[int], spell_out: bool) -> Line:
    """A product as on paper: x @ W.T, the matrix W applied to every row of x, is written W·x."""
    if second is not None and second in inside and folding.label[second] == "concatenate":
        parts = [operand(folding, j, spell_out) for _, j in folding.recorded.inputs[second]]
        return (*operand(folding, first, spell_out), TIMES, *_listed(parts))
    return (*operand(folding, first, spell_out, factor=True), TIMES, *operand(folding, second, spell_out, factor=True))


def join(terms: list[Line]) -> Line:
    """All terms on one line, without a leading plus."""
    line = tuple(span for term in terms for span in term)
    return line[1:] if line and line[0] is PLUS else line


def wrap(terms: list[Line], lines: int) -> list[Line]:
    """The terms on so many lines; a continued line begins with its sign."""
    share = -(-len(terms) // lines)
    wrapped = [join(terms[:share])]
    for start in range(share, len(terms), share):
        sign, *rest = (span for term in terms[start : start + share] for span in term)
        wrapped.append((Span(sign.text.lstrip()), *rest))
    return wrapped
