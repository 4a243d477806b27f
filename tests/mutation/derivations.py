"""Mistakes in derivations, and in BPTT taken apart."""

from mutation.engine import rows

MUTANTS = [
    *rows(
        "bptt/terms",
        (
            "what a parameter is made into outside of the steps belongs to the step that it was made in",
            "class Entrance",
            "operation not in self.made_of_it",
            "True",
        ),
        (
            "a loss is split by the step that reads it, and goes on through the others",
            "class Terms",
            "Within({None, 0}, note)",
            "SilentAccumulator(note)",
        ),
        ("without the product, and through all steps", "class Terms", "if allowed is None else", "if True else"),
        ("the double sum without what arrives outside of the steps", "class Contributions", " + self.outside.sum(axis=0)", ""),
    ),
    *rows(
        "bptt/jacobians",
        (
            "the product of Jacobians from the other side",
            "class StateJacobians",
            "product = self.steps[i] @ product",
            "product = product @ self.steps[i]",
        ),
        ("a Jacobian transposed", "def _jacobian", "return new, np.stack(rows)", "return new, np.stack(rows).T"),
    ),
    *rows(
        "bptt/parts",
        (
            "the share of a product as if its rows did not add up",
            "class Part",
            "(of_g * of_a).sum(axis=(1, 2))",
            "np.einsum('tbb,tbb->t', of_g, of_a)",
        ),
        ("digits that cancelled are taken as they are", "class Part", "squares < CANCELLED * bounds", "squares < 0 * bounds"),
    ),
    *rows(
        "bptt/by_time",
        (
            "parameters of one name are numbered as they come",
            "def gradient_by_time",
            "sorted(contributions, key=lambda node: node.serial)",
            "list(contributions)",
        ),
    ),
    *rows(
        "bptt/by_loop",
        ("a step that no example takes has a place", "class ByTime", "if t in self.taken]", "]"),
        ("the choice of a mask is a state of its own", "def _labels", " and not is_choice(line.op, operands)", ""),
        ("parts of one parameter: the last counts", "class ByTime", "] += part.squares()", "] = part.squares()"),
    ),
    *rows("loops/observe", ("truncation forgotten", "def observed", "loop.cuts()", "()")),
    *rows(
        "derivation/algebra",
        (
            "a factor in common taken out once too often",
            "def _factored",
            "min(factors.count(factor) for factors in split)",
            "max(factors.count(factor) for factors in split)",
        ),
        ("the sign of a subtracted sum", "def _terms", "map(negative, term.args[0].args)", "term.args[0].args"),
        ("a minus in a product is lost", "def multiply", "return product if sign > 0 else negative(product)", "return product"),
        (
            "a stretching is left away that nothing else does",
            "def _unstretched",
            "return tuple(found if _broadcast(found) == shape else parts)",
            "return tuple(found)",
        ),
        (
            "of a quotient, what stands below is forgotten",
            "def _factors",
            "return [*_factors(term.args[0]), divide(ONE, term.args[1])]",
            "return _factors(term.args[0])",
        ),
        ("terms that are equal are one", "def _collected", "counts.get(bare, 0) + sign * coefficient", "sign * coefficient"),
    ),
    *rows(
        "derivation/apart",
        (
            "the columns of a matrix for its rows",
            "class _Apart",
            "(0 if line.op.transpose_b else 1, start, stop)",
            "(1 if line.op.transpose_b else 0, start, stop)",
        ),
        (
            "a part of a part begins where the part does",
            "class _Apart",
            "(axis, first + start, first + stop)",
            "(axis, start, stop)",
        ),
    ),
    *rows(
        "derivation/recognising",
        (
            "1 / (1 + eˣ) taken for a sigmoid",
            "class _Rewriting",
            "if is_negated and self._number(a) == 1:",
            "if self._number(a) == 1:",
        ),
        (
            "1 / (2 + e⁻ˣ) taken for a sigmoid",
            "class _Rewriting",
            "if self._number(one) == 1 and self._is(exponential",
            "if self._number(one) and self._is(exponential",
        ),
        (
            "a − b and b − a are the same",
            "class _Rewriting",
            "key = kind, line.dtype, tuple([",
            "key = kind, line.dtype, frozenset([",
        ),
    ),
    *rows(
        "derivation/backward",
        (
            "the factors of an outer product change places",
            "class Backward",
            "(g, a) if contribution.transposed else (a, g)",
            "(a, g) if contribution.transposed else (g, a)",
        ),
        ("a bias is not summed over the examples", "class Backward", "if extra else g", "if extra > 9 else g"),
    ),
    *rows(
        "derivation/source",
        (
            "a value that the backward pass needs is not kept",
            "class _Source",
            "if symbol in needed or symbol == first",
            "if symbol == first",
        ),
    ),
    *rows(
        "derivation/writing",
        (
            "a matrix in columns is not transposed",
            "class Notation",
            "return self.transposed(self.write(expr, OF_POWER)) if is_matrix else",
            "return",
        ),
        (
            "parentheses forgotten",
            "class Writer",
            "return written if own >= around else",
            "return written if own >= around - 1 else",
        ),
    ),
    *rows(
        "derivation/explaining",
        ("a gradient that is only alike is recognised", "class Explanation", "<= tolerance * scale", "<= 0.5 * scale"),
        (
            "a step without a loss has a term that vanished",
            "class Explanation",
            "np.outer(from_losses, to_uses) & (norms < VANISHED * norms.max(initial=0))",
            "norms < VANISHED * norms.max(initial=0)",
        ),
    ),
    *rows(
        "derivation/formulas",
        ("the sum without the product forgets later losses", "def _without_product", "else later + g", "else g"),
        (
            "in reverse, later losses are those of later steps",
            "def _without_product",
            "outputs if is_reverse else reversed(outputs)",
            "reversed(outputs)",
        ),
        ("layers that read the other way are not seen", "def order_of", "for loop in [*loops, *above]", "for loop in loops"),
    ),
    *rows(
        "derivation/statements",
        ("a gradient that is still read is overwritten", "class Statements", "if not free:", "if not left:"),
        (
            "a gradient set, not added",
            "class Statements",
            "in whole else name, \"+=\"",
            "in whole else name, \"=\"",
        ),
        (
            "a view is written to",
            "class Statements",
            'copied = ".copy()" if formula.kind in VIEWS',
            'copied = "" if formula.kind in VIEWS',
        ),
        ("an entry that was chosen twice is sent one gradient", "class Statements", " and bare.what[1][1]:", ":"),
        (
            "a gradient is written over before a part of it is added",
            "class Statements",
            "if not placed or any(self.variables[symbol] == target for term in placed for symbol in ends(term)):",
            "if not placed:",
        ),
    ),
    *rows(
        "derivation/arrays",
        ("what was turned round is not turned back", "def placed", "return part(g, index, shape)", "return g"),
        ("the parts of a cut all begin at its start", "def beside_zeros", "{start or ''}:", "{0 or ''}:"),
    ),
    *rows(
        "derivation/parameters",
        ("a transposed constant is taken for the constant", "class Known", "(array.T, transpose)", "(array.T, lambda a: a)"),
    ),
    *rows(
        "derivation/observing",
        (
            "what an activation computes inside is a gate",
            "class Observer",
            'if event == "return" and (frame.f_code in self.above or _are_several(argument)):',
            'if event == "return":',
        ),
    ),
]
