"""Mistakes in loops over time: in every pass from the trace to the graph."""

from mutation.engine import rows

MUTANTS = [
    *rows(
        "loops/program",
        (
            "loops: lines that move leave their users behind",
            "class Program",
            "Line(line.op, moved(line.operands), line.origin)",
            "Line(line.op, line.operands, line.origin)",
        ),
        (
            "loops: a const in the place of a line is the one before",
            "class Program",
            "len(self.consts) + number) for number",
            "len(self.consts) + number - 1) for number",
        ),
        (
            "loops: the new carry is a line of before",
            "class Program",
            "moved(self.new_carry), moved(self.ys)",
            "self.new_carry, moved(self.ys)",
        ),
    ),
    *rows(
        "loops/trace",
        (
            "loops: values may be read",
            "class Tracer",
            'if tensor._node in self.varying or what == "data":',
            'if what == "data":',
        ),
        (
            "loops: what cannot be repeated is left out",
            "class Tracer",
            "            if varies:\n                self.end(",
            "            if False:\n                self.end(",
        ),
    ),
    *rows(
        "loops/differentiate",
        (
            "loops: contributions take each other's place",
            "class _Backward",
            "self.sums[ref] = self.sums[ref] + g if ref in self.sums else g",
            "self.sums[ref] = g",
        ),
        (
            "loops: outputs are sent nothing",
            "class _Backward",
            "                self._add(program.ys[j], g)\n",
            "                self._add(program.ys[j], g * 0.0)\n",
        ),
        (
            "loops: parts of a whole are forgotten",
            "class _Backward",
            "            self._add(ref, self._uncut(ref))\n",
            "            self._uncut(ref)\n",
        ),
    ),
    *rows(
        "loops/simplify",
        ("loops: g ⊙ a − g ⊙ b = g ⊙ (b − a)", "class _Simplified", "node, *factors)", "node, *factors[::-1])"),
        (
            "loops: products with two gradients are taken for one",
            "class _Simplified",
            "other is not None and other.arriving == first.arriving",
            "other is not None",
        ),
        ("loops: 1 ⊙ a = 1", "class _Simplified", "if operands[1] in self._ones", "if operands[0] in self._ones"),
    ),
    *rows(
        "loops/schedule",
        (
            "loops: what is needed of all steps is overwritten by the next",
            "class Schedule",
            "phase != BODY or k in self.kept",
            "phase != BODY",
        ),
    ),
    *rows(
        "loops/buffers",
        (
            "loops: joined parts change places",
            "class Buffers",
            "(*before, slice(start, stop)),))",
            "(*before, slice(-stop, -start or None)),))",
        ),
    ),
    *rows(
        "loops/fuse",
        ("loops: no factor is transposed", "class Plan", "TRANSPOSED if node.transpose_b else CONST", "CONST"),
    ),
    *rows(
        "loops/kernels",
        ("loops: a sigmoid is not reciprocal", "def kernels", ", (np.reciprocal, (OUT,))]", "]"),
    ),
    *rows(
        "loops/backend",
        ("loops: the last state is the last but one", "class Run", "(self.T - 1) % 2", "self.T % 2"),
    ),
    *rows(
        "loops/pool",
        ("loops: an odd number of steps in a chunk", "CHUNK", "64", "63"),
    ),
    *rows(
        "loops/execute",
        (
            "loops: the last step is not compared",
            "def execute",
            "        prove(key, step, recipe, consts, run, xs, times, names)\n",
            "        pass\n",
        ),
    ),
    *rows(
        "loops/loop",
        ("loops: backward in the order of forward", "class Loop", "not run.reverse", "run.reverse"),
    ),
    *rows(
        "loops/reach",
        (
            "loops: what a step later depends on a gradient",
            "def depending",
            "for i, ref in enumerate(program.new_carry) if ref in found)",
            "for i, ref in enumerate(program.new_carry) if Ref(CARRY, i) in state)",
        ),
        (
            "loops: a gradient gets one step back at most",
            "def reach",
            "state = _after(steps, state, step)",
            "state = _after(1, state, step)",
        ),
        (
            "loops: the initial carry is not reached",
            "def reach",
            "frozenset(found | state)",
            "frozenset(found)",
        ),
        (
            "loops: history goes on behind a cut, forward",
            "def depending",
            "frozenset() if is_cut else state",
            "state",
        ),
        (
            "loops: history goes on behind a cut, backward",
            "def reach",
            "        if is_cut:\n            state = frozenset()\n",
            "",
        ),
        (
            "loops: where all take a step, the old state counts",
            "def _sources",
            "if taken is not None and",
            "if taken is False and",
        ),
        (
            "loops: masks are read forward also in reverse",
            "def stretches_of",
            "rows = rows[::-1] if reverse else rows",
            "pass",
        ),
    ),
]
