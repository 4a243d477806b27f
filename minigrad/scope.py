"""Where in time and in the model an operation is recorded, and whether it is recorded at all.

The state is one small object for each thread. Every setting is a context manager and a decorator, and puts back what
it found, also after an exception, and also when Ctrl-C comes while it is being put back.

>>> import minigrad as mg
>>> x = mg.Tensor([1.0], requires_grad=True)
>>> with mg.scope("lstm"), mg.time_step(3):
...     f = mg.sigmoid(x).named("f")
>>> f.node.time, f.node.scope, f.node.name
(3, ('lstm',), 'f')
"""

from __future__ import annotations

import functools
import inspect
import operator
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar, cast

from typing_extensions import override

from minigrad.errors import ArgumentError, GraphError

__all__ = ["Place", "current_place", "enable_grad", "is_recording", "no_grad", "scope", "time_step"]

F = TypeVar("F", bound=Callable[..., Any])


class Place(NamedTuple):
    """Where an operation was recorded: its time step (1-based, None outside any) and the path of scopes around it.

    Under `detect_anomaly` there is also the line of code that asked for it.
    """

    time: int | None
    scope: tuple[str, ...]
    line: Any = None

    @override
    def __str__(self) -> str:
        path = "/".join(self.scope)
        if self.time is None:
            return path
        return f"{path} at time step {self.time}" if path else f"time step {self.time}"


placed: Callable[[tuple[Any, ...]], Place] = functools.partial(tuple.__new__, Place)
"""A place from its three parts, in a third of the time that the constructor takes, which is Python's."""

Exit: TypeAlias = "functools.partial[None]"
NOTHING = 0, None


class State(threading.local):
    """What the current thread records with, and the settings that made it so, in the order they were entered."""

    def __init__(self) -> None:
        self.recording = True
        self.place = Place(None, ())
        self.differentiating = False
        self.detector: Any = None
        self.tracer: Any = None
        self.loops: Any = None
        self.turned: Any = None
        self.part: tuple[int, int, int] | None = None
        self.settings: list[tuple[weakref.ref[Exit] | None, Setting, Any]] = []
        self.looked_up: tuple[int, weakref.ref[Exit] | None] = NOTHING


state = State()


def end_trace(what: str) -> None:
    """Say that something depends on more than the values of a step: a trace ends here."""
    if state.tracer is not None:
        state.tracer.end(what)


def reading(value: Any, what: str) -> None:
    """Say that Python is about to see the values of a Tensor: a trace that they belong to ends here."""
    if state.tracer is not None:
        state.tracer.read(value, what)


class _Exit:
    """The ``__exit__`` of a setting: a fresh callable for each ``with`` statement, which alone holds it.

    Ctrl-C may be heard before the first line of an ``__exit__`` has run, and then no line of it ever does. But however
    the statement ends, it drops what it had looked up: with that callable dies the last reason for the setting to last.
    """

    def __get__(self, setting: Setting | None, kind: type[Setting]) -> Callable[..., None]:
        if setting is None:
            return _leave
        found = functools.partial(_leave, setting)
        state.looked_up = id(setting), weakref.ref(found, _take_back)
        return found


def _leave(
    setting: Setting, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """The end of a block: take back the setting's own change, which need not be the latest."""
    settings = state.settings
    if settings and settings[-1][1] is setting:
        setting.leave(settings[-1][2])
        del settings[-1]
        return
    position = len(settings) - 1
    while position >= 0 and settings[position][1] is not setting:
        position -= 1
    if position < 0:
        raise GraphError(
            f"{type(setting).__name__}: left in another thread than it was entered in. If a generator moves between "
            "threads, decorate its function instead of using a with block inside it"
        )
    _undo(position)


def _take_back(dropped: weakref.ref[Exit]) -> None:
    """The end of a block whose ``__exit__`` was interrupted: nothing holds what its ``with`` statement had looked up."""
    for position, (exit, _, _) in enumerate(state.settings):
        if exit is dropped:
            _undo(position)
            return


def _undo(position: int) -> None:
    """Take back one setting and leave those that were entered later. Begun again after an interrupt, it comes out the same."""
    settings = state.settings
    for _, setting, found in reversed(settings[position:]):
        setting.leave(found)
    settings[position:] = [(exit, setting, setting.enter()) for exit, setting, _ in settings[position + 1 :]]


class Setting(ABC):
    """A change to the thread's state that lasts for a ``with`` block or for each call of a decorated function.

    A ``with`` block inside a generator lasts, as everywhere in Python, until the block is left: also while the generator
    is suspended at a ``yield`` and its consumer runs. Blocks may then end in another order than they began; each takes
    back its own change only. To have a setting hold inside a generator and nowhere else, decorate the generator function.
    """

    __slots__ = ()

    @abstractmethod
    def enter(self) -> Any:
        """Change the state, wholly or (interrupted) not at all; return what ``leave`` needs to put it back."""

    @abstractmethod
    def leave(self, found: Any) -> None:
        """Put back what ``enter`` found."""

    def __enter__(self) -> None:
        owner, exit = state.looked_up
        state.looked_up = NOTHING  # a with statement looks up anew each time; contextlib.ExitStack never binds an __exit__
        state.settings.append((exit if owner == id(self) else None, self, self.enter()))

    __exit__ = _Exit()

    def __call__(self, function: F) -> F:
        """Decorate a function; of a generator function, each resumption runs under the setting and nothing between."""
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise ArgumentError(
                f"{type(self).__name__}: cannot decorate the asynchronous function {function.__name__!r}, whose calls return "
                "before it has run; use a with block inside it that contains no await"
            )
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def resumed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                generator = function(*args, **kwargs)
                resume: Callable[[], Any] = functools.partial(next, generator)
                while True:
                    try:
                        with self:
                            produced = resume()
                    except StopIteration as end:
                        return end.value
                    try:
                        sent = yield produced
                    except GeneratorExit:
                        with self:
                            generator.close()
                        raise
                    except BaseException as error:
                        resume = functools.partial(generator.throw, error)
                    else:
                        resume = functools.partial(generator.send, sent)

            return cast(F, resumed)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return cast(F, called)


class _Recording(Setting):
    __slots__ = ()
    wanted: bool

    def __new__(cls, function: Any = None) -> Self:
        """A setting; or, for a decorator written without parentheses, the decorated function."""
        setting = super().__new__(cls)
        if function is None:
            return setting
        if not callable(function):
            raise ArgumentError(f"{cls.__name__}: expected no argument, or a function to decorate, got {function!r:.60}")
        return cast(Self, setting(function))

    @override
    def enter(self) -> bool:
        end_trace(type(self).__name__)
        found = state.recording
        state.recording = self.wanted
        return found

    @override
    def leave(self, found: bool) -> None:
        state.recording = found


class no_grad(_Recording):
    """Record nothing inside: results need no gradient and cost no graph. A decorator also without its parentheses.

    Raises:
        ArgumentError: it is given something else than a function to decorate.

    >>> import minigrad as mg
    >>> w = mg.Tensor([2.0], requires_grad=True)
    >>> with mg.no_grad():
    ...     (w * w).requires_grad
    False
    """

    __slots__ = ()
    wanted = False


class enable_grad(_Recording):
    """Record again inside a ``no_grad`` block. A decorator also without its parentheses.

    Raises:
        ArgumentError: it is given something else than a function to decorate.
    """

    __slots__ = ()
    wanted = True


class differentiating(Setting):
    """Inside a function that a transform differentiates: everything is recorded, derivatives too."""

    __slots__ = ()

    @override
    def enter(self) -> tuple[bool, bool]:
        end_trace("a derivative")
        found = state.recording, state.differentiating
        state.recording = state.differentiating = True
        return found

    @override
    def leave(self, found: tuple[bool, bool]) -> None:
        state.recording, state.differentiating = found


class time_step(Setting):
    """Mark everything recorded inside as belonging to time step ``t`` (0 is the initial state, 1 the first input).

    Raises:
        ArgumentError: ``t`` is not an integer ≥ 0.
    """

    __slots__ = ("_time",)

    def __init__(self, t: int) -> None:
        if type(t) is not int or t < 0:
            t = _checked_time(t)
        self._time = t

    @override
    def enter(self) -> Place:
        found = state.place
        state.place = placed((self._time, found[1], found[2]))
        return found

    @override
    def leave(self, found: Place) -> None:
        state.place = found


def _checked_time(t: Any) -> int:
    try:
        step = -1 if isinstance(t, bool) else operator.index(t)
    except TypeError:
        step = -1
    if step < 0:
        raise ArgumentError(f"time_step: expected an integer ≥ 0 (0 is the initial state), got {t!r:.60}")
    return step


class scope(Setting):
    """Mark everything recorded inside with a name, such as the cell's; scopes nest into a path.

    Raises:
        ArgumentError: the name is not a non-empty string.
    """

    __slots__ = ("_name", "_time")

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"scope: expected a non-empty name, got {name!r}")
        self._name = name
        self._time: int | None = None

    def move(self, t: int | None) -> None:
        """Within the block, go on to another time step: what a loop over many does instead of a block for each."""
        self._time = t
        _, path, line = state.place
        state.place = placed((t, path, line))

    @override
    def enter(self) -> Place:
        found = state.place
        time, path, line = found
        state.place = placed((time if self._time is None else self._time, (*path, self._name), line))
        return found

    @override
    def leave(self, found: Place) -> None:
        state.place = found


def is_recording() -> bool:
    """Whether operations on tensors that need a gradient are recorded right now, in this thread."""
    end_trace("is_recording()")
    return state.recording


def current_place() -> Place:
    """Where an operation would be recorded right now, in this thread: the time step and the path of scopes.

    >>> with time_step(2), scope("gru"):
    ...     print(current_place())
    gru at time step 2
    """
    if state.tracer is not None:
        end_trace("current_place()")
    return state.place
