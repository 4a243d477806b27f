"""What a step that promises to be pure may do all the same, in places that are hard to see."""

from __future__ import annotations

import builtins
import collections
import contextlib
import csv
import decimal
import enum
import functools
import hashlib
import io
import itertools
import logging
import math
import mmap
import operator
import os
import queue
import socket
import sys
import threading
import types
import typing
import warnings
import weakref
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Module, Parameter

Case = tuple[Callable[[], Any], Callable[[], Any]]
"""What a step does beside computing, and what can be seen of it afterwards."""


class Box:
    """Something to count in."""

    count = 0

    def add(self) -> None:
        self.count += 1


def pipe() -> tuple[int, Callable[[], Any]]:
    """A file by its number, and what was written to it."""
    get, put = os.pipe()
    os.set_blocking(get, False)

    def seen() -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(get, 99)
        return b""

    return put, seen


def in_a_queue_of_c() -> Case:
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
    return lambda: numbers.put(1), numbers.qsize


def in_the_context_of_decimals() -> Case:
    decimal.getcontext().prec = 28

    def more() -> None:
        decimal.getcontext().prec += 1

    return more, lambda: decimal.getcontext().prec


def in_the_flags_of_decimals() -> Case:
    decimal.getcontext().clear_flags()
    one, three = decimal.Decimal(1), decimal.Decimal(3)
    return lambda: one / three, lambda: decimal.getcontext().flags[decimal.Inexact]


def to_a_file_by_its_number() -> Case:
    put, seen = pipe()
    return lambda: os.write(put, b"a"), seen


def by_a_function_of_c_of_another_name() -> Case:
    put, seen = pipe()
    from os import write as say

    return lambda: say(put, b"a"), seen


def by_what_is_imported_in_the_step() -> Case:
    put, seen = pipe()

    def say() -> None:
        import posix

        posix.write(put, b"a")

    return say, seen


def by_import_as_a_function() -> Case:
    put, seen = pipe()
    return lambda: __import__("posix").write(put, b"a"), seen


def by_a_name_in_a_string() -> Case:
    put, seen = pipe()
    return lambda: getattr(os, "write")(put, b"a"), seen  # noqa: B009


def by_a_method_by_name() -> Case:
    box, add = Box(), operator.methodcaller("add")
    return lambda: add(box), lambda: box.count


def to_a_socket() -> Case:
    one, other = socket.socketpair()
    other.setblocking(False)

    def seen() -> bytes:
        with one, other, contextlib.suppress(BlockingIOError):
            return other.recv(99)
        return b""

    return lambda: one.send(b"a"), seen


def to_a_bound_method_of_a_file() -> Case:
    write = (file := io.StringIO()).write
    return lambda: write("a"), file.getvalue


def by_a_method_that_is_given_its_file() -> Case:
    file = io.StringIO()
    write = functools.partial(io.StringIO.write, file, "a")
    return lambda: write(), file.getvalue


def to_a_writer_of_c() -> Case:
    writer = csv.writer(file := io.StringIO())
    return lambda: writer.writerow([1]), file.getvalue


def with_a_handler_of_logs() -> Case:
    class Counted(logging.Handler):
        count = 0

        def emit(self, record: Any) -> None:
            Counted.count += 1

    logger = logging.Logger("steps")
    logger.addHandler(Counted())
    warn = logger.warning
    return lambda: warn("deep"), lambda: Counted.count


def printing_by(kind: str) -> Callable[[], Case]:
    def case() -> Case:
        say: Any = {
            "another name": lambda say=print: say("a"),
            "a dict": lambda say={"it": print}: say["it"]("a"),
            "map": lambda: list(map(print, "a")),
            "the module": lambda: vars(builtins)["print"]("a"),
            "standard output": lambda: sys.stdout.write("a"),
        }[kind]
        return say, lambda: None

    return case


def warning_by_another_name() -> Case:
    warn = warnings.warn
    return lambda: warn("deep", stacklevel=1), lambda: None


def behind_a_weak_reference() -> Case:
    box = Box()
    reference = weakref.ref(box)
    return lambda: typing.cast(Box, reference()).add(), lambda: box.count


def in_a_weak_dict() -> Case:
    box = Box()
    boxes = weakref.WeakValueDictionary({"it": box})
    return lambda: boxes["it"].add(), lambda: box.count


def behind_a_proxy_of_a_dict() -> Case:
    counts = types.MappingProxyType({"n": [0]})
    return lambda: counts["n"].append(1), lambda: counts["n"]


def in_a_property_that_is_set() -> Case:
    log: list[int] = []

    class Logged:
        value = property(lambda self: 1, lambda self, value: log.append(value), lambda self: log.append(0))

    logged = Logged()

    def change() -> None:
        logged.value = 2
        del logged.value

    return change, lambda: log


def in_a_class_of_classes() -> Case:
    log: list[Any] = []

    class Meta(type):
        def __call__(cls, *args: Any) -> Any:
            log.append("made")
            return super().__call__(*args)

        def __getitem__(cls, key: Any) -> None:
            log.append(key)

        def __getattr__(cls, name: str) -> None:
            log.append(name)

    class Made(metaclass=Meta):
        pass

    return lambda: (Made(), Made[1], Made.absent), lambda: log  # type: ignore[attr-defined]


def in_a_class_that_has_no_module() -> Case:
    space: dict[str, Any] = {}
    exec("class Counted:\n    count = 0\n    def add(self):\n        Counted.count += 1", space)
    counted = space["Counted"]()
    return lambda: counted.add(), lambda: space["Counted"].count


def in_a_module_that_is_called_like_one_of_pythons() -> Case:
    module = types.ModuleType("code")
    exec("class Counted:\n    count = 0\n    def add(self):\n        Counted.count += 1", vars(module))
    counted = module.Counted()
    return lambda: counted.add(), lambda: module.Counted.count


def by_a_function_of_a_module_that_is_called_like_one_of_pythons() -> Case:
    module = types.ModuleType("string")
    exec("log = []\ndef add():\n    log.append(1)", vars(module))
    add = module.add
    return lambda: add(), lambda: module.log


def in_a_module_that_makes_up_its_attributes() -> Case:
    module = types.ModuleType("made_up")
    exec("log = []\ndef __getattr__(name):\n    log.append(name)", vars(module))
    return lambda: module.something, lambda: module.log


def on_a_module_of_others(module: Any) -> Callable[[], Case]:
    def case() -> Case:
        module.steps = 0

        def count() -> None:
            module.steps += 1

        return count, lambda: module.steps

    return case


def in_a_function_of_python_that_a_ufunc_hides() -> Case:
    log: list[Any] = []
    hidden = np.frompyfunc(log.append, 1, 1)
    return lambda: hidden(1.0), lambda: log


def in_a_function_of_python_that_is_vectorized() -> Case:
    log: list[Any] = []
    vectorized = np.vectorize(log.append, otypes=[object])
    return lambda: vectorized(1.0), lambda: log


def by_numpy_to_a_file() -> Case:
    file, save = io.BytesIO(), np.save
    return lambda: save(file, 1), file.tell


def in_how_numpy_prints() -> Case:
    np.set_printoptions(precision=8)
    return lambda: np.set_printoptions(np.get_printoptions()["precision"] + 1), lambda: np.get_printoptions()["precision"]


def in_an_iterator_of(kind: Callable[[], Iterator[Any]]) -> Callable[[], Case]:
    def case() -> Case:
        iterator = kind()
        return lambda: next(iterator), lambda: next(iterator)

    return case


def in_large_memory_of(kind: Callable[[], Any]) -> Callable[[], Case]:
    def case() -> Case:
        memory = kind()

        def count() -> None:
            memory[5] = memory[5] + 1

        return count, lambda: memory[5]

    return case


def in_a_part_of_a_large_container() -> Case:
    lists = [[0] for _ in range(9000)]
    return lambda: lists[8999].append(1), lambda: lists[8999]


def in_an_object_of_c(value: Any, use: Callable[[Any], Any], seen: Callable[[Any], Any]) -> Callable[[], Case]:
    def case() -> Case:
        it = value()
        return lambda: use(it), lambda: seen(it)

    return case


def in_what_a_function_remembers() -> Case:
    bounded, unbounded = (functools.lru_cache(size)(lambda: [0]) for size in (2, None))
    bounded(), unbounded()
    return lambda: (bounded().append(1), unbounded().append(1)), lambda: (bounded(), unbounded())


def in_all_the_functions_there_are() -> Case:
    space = Box.add.__globals__
    space["STEPS"] = 0

    def count() -> None:
        Box.add.__globals__["STEPS"] += 1

    return count, lambda: space["STEPS"]


def in_what_is_derived_from_a_class() -> Case:
    class Base:
        count = 0

    class Derived(Base):
        pass

    def count() -> None:
        Base.__subclasses__()[0].count += 1

    return count, lambda: Derived.count


def in_a_member_of_an_enumeration() -> Case:
    class Kind(enum.Enum):
        A = [0]

    return lambda: Kind["A"].value.append(1), lambda: Kind.A.value


def in_attributes_of_what_is_also_a(kind: type) -> Callable[[], Case]:
    def case() -> Case:
        it = type("Sub", (kind,), {"__getitem__": lambda self, key: log.append(key)})((1,) if kind is tuple else ())
        it.count, log = 0, []

        def count() -> None:
            it.count += 1
            it[0]

        return count, lambda: (it.count, log)

    return case


def in_attributes_of_an_array() -> Case:
    class Counted(np.ndarray):
        def add(self) -> None:
            self.count += 1

    array = np.ones(2).view(Counted)
    array.count = 0
    return lambda: array.add(), lambda: array.count


def in_the_base_of_an_array() -> Case:
    row = np.zeros((3, 3))[0]
    return lambda: row.base.__iadd__(1), lambda: row.base.tolist()


def in_the_form_of_an_array() -> Case:
    array = np.ones((2, 3))

    def change() -> None:
        array.shape = array.shape[::-1]

    return change, lambda: array.shape


def in_a_closure_by_hand() -> Case:
    cell = types.CellType(0)

    def count() -> None:
        cell.cell_contents += 1

    return count, lambda: cell.cell_contents


def in_the_name_of_a_parameter() -> Case:
    parameter = Parameter(np.ones(1), name="a")

    def rename() -> None:
        parameter.name += "a"

    return rename, lambda: parameter.name


def in_the_values_of_a_module() -> Case:
    class Small(Module):
        def __init__(self) -> None:
            self.w = Parameter(np.ones(1))

    small = Small()
    return lambda: small.load_state_dict({"w": small.w.numpy() + 1}), lambda: small.w.tolist()


def in_keys_and_entries_that_are_made() -> Case:
    box, other = Box(), Box()
    made: Any = collections.defaultdict(other.add)

    def count() -> None:
        next(iter({box})).add()
        made[len(made)]

    return count, lambda: (box.count, other.count)


def in_a_block() -> Case:
    log: list[int] = []

    @contextlib.contextmanager
    def logged() -> Iterator[None]:
        log.append(1)
        yield

    def count() -> None:
        with logged():
            pass

    return count, lambda: log


def in_a_decorated_function() -> Case:
    box = Box()
    add = mg.enable_grad()(lambda: box.add())
    return lambda: add(), lambda: box.count


def in_a_limit_of_pythons() -> Case:
    limit = sys.getrecursionlimit()

    def seen() -> int:
        found = sys.getrecursionlimit()
        sys.setrecursionlimit(limit)
        return found

    return lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 1), seen


def with_a_lock() -> Case:
    lock = threading.Semaphore(99)
    return lambda: lock.acquire(), lambda: lock._value  # type: ignore[attr-defined]


OUTSIDE: dict[str, Callable[[], Case]] = {
    case.__name__: case
    for case in (
        in_a_queue_of_c, in_the_context_of_decimals, in_the_flags_of_decimals, to_a_file_by_its_number,
        by_a_function_of_c_of_another_name, by_what_is_imported_in_the_step, by_import_as_a_function, by_a_name_in_a_string,
        by_a_method_by_name, to_a_socket, to_a_bound_method_of_a_file, by_a_method_that_is_given_its_file, to_a_writer_of_c,
        with_a_handler_of_logs, warning_by_another_name, behind_a_weak_reference, in_a_weak_dict, behind_a_proxy_of_a_dict,
        in_a_property_that_is_set, in_a_class_of_classes, in_a_class_that_has_no_module,
        by_a_function_of_a_module_that_is_called_like_one_of_pythons, in_a_module_that_is_called_like_one_of_pythons,
        in_a_module_that_makes_up_its_attributes,
        in_a_function_of_python_that_a_ufunc_hides,
        in_a_function_of_python_that_is_vectorized, by_numpy_to_a_file, in_how_numpy_prints, in_a_part_of_a_large_container,
        in_what_a_function_remembers, in_all_the_functions_there_are, in_what_is_derived_from_a_class,
        in_a_member_of_an_enumeration, in_attributes_of_an_array, in_the_base_of_an_array, in_the_form_of_an_array,
        in_a_closure_by_hand, in_the_name_of_a_parameter, in_the_values_of_a_module, in_keys_and_entries_that_are_made,
        in_a_block, in_a_decorated_function, in_a_limit_of_pythons, with_a_lock,
    )
} | {
    **{f"printing by {kind}": printing_by(kind) for kind in ("another name", "a dict", "map", "the module", "standard output")},
    **{f"on {module.__name__}": on_a_module_of_others(module) for module in (np, math, mg)},
    "in an nditer": in_an_iterator_of(lambda: np.nditer(np.arange(99.0))),
    "in a flat iterator": in_an_iterator_of(lambda: np.arange(99.0).flat),
    "in a count": in_an_iterator_of(itertools.count),
    "in a zip": in_an_iterator_of(lambda: zip(range(99), strict=True)),
    "in a large bytearray": in_large_memory_of(lambda: bytearray(2**21)),
    "in a large memoryview": in_large_memory_of(lambda: memoryview(bytearray(2**21))),
    "in mapped memory": in_large_memory_of(lambda: mmap.mmap(-1, 2**21)),
    "in a large dict": in_large_memory_of(lambda: dict.fromkeys(range(9000), 0)),
    "in a hash": in_an_object_of_c(hashlib.sha256, lambda it: it.update(b"a"), lambda it: it.hexdigest()),
    "in a compressor": in_an_object_of_c(zlib.compressobj, lambda it: it.compress(b"a"), lambda it: it.flush()),
    **{f"in a {kind.__name__}": in_attributes_of_what_is_also_a(kind) for kind in (list, tuple, dict)},
}  # fmt: skip
