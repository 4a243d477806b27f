"""Mistakes in loops over time: the record of a step, its derivative, the plan, the loop, and what is written out of it."""

from mutation.engine import rows

MUTANTS = [
    *rows(
        "rolling/recording",
        ("rolling: what has no history is a constant", "def value_of", "source is None or not source.requires_grad", "False"),
        (
            "rolling: a state may have another dtype than the results",
            "class Step",
            " | {part.dtype for part in self.states}",
            "",
        ),
        (
            "rolling: the transpose of a factor does not count",
            "def form",
            "return node.transpose_b",
            "return None",
        ),
    ),
    *rows(
        "rolling/derivation",
        (
            "rolling: the share of a stream dropped",
            "class _Writer",
            "[None if tensor is None else self._of(tensor) for tensor in streams]",
            "[None for tensor in streams]",
        ),
        ("rolling: the slope of a curve for its gradient", "class StepSums", "(g * slope,)", "(slope * slope,)"),
        (
            "rolling: the last step's output has no gradient of its own",
            "def derive",
            "g + upstream if i == output else g",
            "g - upstream if i == output else g",
        ),
        (
            "rolling: the parts of a whole take the place of its other shares",
            "class StepSums",
            "total = whole if total is None else total + whole",
            "total = whole",
        ),
        (
            "rolling: a missing part is not missed",
            "class StepSums",
            "if not fits or bounds[-1] != node.shape[axis]:",
            "if False:",
        ),
    ),
    *rows(
        "rolling/schedule",
        (
            "rolling: what is needed of all steps is overwritten by the next",
            "class Schedule",
            "phase != LOOP or k in self.kept",
            "phase != LOOP",
        ),
    ),
    *rows(
        "rolling/layout",
        (
            "rolling: joined parts change places",
            "class Layout",
            "(*before, slice(start, stop)),))",
            "(*before, slice(-stop, -start or None)),))",
        ),
    ),
    *rows(
        "rolling/plan",
        ("rolling: no factor is transposed", "class Plan", "TRANSPOSED if node.transpose_b else CONSTANT", "CONSTANT"),
    ),
    *rows(
        "rolling/workspace",
        ("rolling: an odd number of steps in a chunk", "CHUNK", "64", "63"),
        (
            "rolling: a chunk goes on where the last one began",
            "def rows_of",
            "list(value[start : stop + more])",
            "list(value[: stop - start + more])",
        ),
        (
            "rolling: in reverse, a chunk is computed in the order of time",
            "def rows_of",
            "list(value[T - stop : T - start + more])[::-1]",
            "list(value[T - stop : T - start + more])",
        ),
    ),
    *rows(
        "rolling/program",
        (
            "rolling: the arrays that alternate change places",
            "class Run",
            "for (here, _), state in zip",
            "for (_, here), state in zip",
        ),
        ("rolling: the last state is the last but one", "class Run", "(self.T - 1) % 2", "self.T % 2"),
        ("rolling: sigmoids warn where they saturate", "class Program", 'over="ignore"', 'over="warn"'),
        ("rolling: in reverse, the last state is the first", "class Run", "new[0 if self.reverse else -1]", "new[-1]"),
    ),
    *rows(
        "rolling/loop",
        (
            "rolling: the initial state gets no gradient",
            "class Loop",
            "map(back.last, range(len(states)))",
            "[None] * len(states)",
        ),
        (
            "rolling: the factors of a matrix's gradient change places",
            "class Loop",
            "OuterProduct(d, a) if transposed else OuterProduct(a, d)",
            "OuterProduct(a, d) if transposed else OuterProduct(d, a)",
        ),
        ("rolling: backward in the order of forward", "class Loop", "not run.reverse", "run.reverse"),
        (
            "rolling: what is watched earlier is overlooked",
            "class Folded",
            "for result in (*self.earlier, self)",
            "for result in (self,)",
        ),
        ("rolling: results are written out one by one", "class Folded", "for result in self.earlier:", "for result in ():"),
    ),
    *rows(
        "rolling/unfolding",
        ("rolling: nothing is released", "class Values", "self.run = self._full = None", "pass"),
        ("rolling: the first operation passed frees all", "class Values", "row == (", "row >= 0 * ("),
        ("rolling: everything is kept", "class Values", "None if is_left_out else", "None if False else"),
        (
            "rolling: written-out steps keep the values of the next",
            "class Repetition",
            "self.times[number] - 1, False",
            "number, False",
        ),
        ("rolling: each operation has the serial number of its row", "class Repetition", " + len(self.step.rows) + k", " + k"),
    ),
    *rows(
        "rolling/rolled",
        ("rolling: what has to be computed anew is remembered", "def roll", "if recipe.constants() is not None:", "if True:"),
        (
            "rolling: whether xs is learnt does not count",
            "def roll",
            "stream._data.dtype, stream._wants)",
            "stream._data.dtype)",
        ),
        ("rolling: the scope does not count", "def roll", "        state.place.scope,\n", ""),
        ("rolling: the dtype of xs does not count", "def roll", "stream._data.dtype, stream._wants)", "stream._wants)"),
        (
            "rolling: loops are not written down under no_grad alone",
            "def _run",
            "wanted = state.recording and any",
            "wanted = any",
        ),
    ),
]
