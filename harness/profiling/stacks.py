"""Sampled stacks, pure: read what a sampler wrote, keep what belongs to the calls, rank functions, compare two profiles."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

INSIDE = "profiling/inside.py"
CALLS, LOADING = "calls", "loading"
"""Functions of that file below which the profiled code runs: what lies above them on a stack is the harness."""

OTHER_THREADS = "other threads"
WAITING = ("threading.py", "queue.py", "selectors.py", "subprocess.py", "concurrent/futures/", "multiprocessing/")
"""Where Python waits for another thread or process; a thread of a pool that has nothing to do is there, too."""

INNER_SHARE = 0.25
"""Of a function's time: what takes less below it is one of many."""

_FRAME = re.compile(r"(?P<name>.*) \((?P<file>[^()]*?)(?::(?P<line>\d+))?\)")
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_BUILD = re.compile(r"\.(cpython-|abi)[^/]*(?=\.so$)")


@dataclass(frozen=True)
class Frame:
    """A function on a stack. file: shortened, for a native one its library or source. line: 0 where it is not known."""

    name: str
    file: str = ""
    line: int = 0

    @property
    def native(self) -> bool:
        return not self.file.endswith((".py", ">"))  # `<string>` and `<frozen ...>` are Python too

    @property
    def function(self) -> Frame:
        """The frame without its line: what two versions of a file have in common."""
        return replace(self, line=0)

    @property
    def words(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{self.name} ({where})" if where else self.name


T = TypeVar("T")

Stack = tuple[Frame, ...]
Weights = Mapping[Stack, float]


@dataclass(frozen=True)
class Profile:
    """Where the calls of one row spend their time, or what they hold in memory.

    weights: milliseconds per unit of work by stack, outermost frame first, or bytes; of other threads below `other threads`,
    beside the calling thread and on the same scale. total: of the calling thread. samples: of it, 0 where nothing was sampled.
    own: what the files of the row's own package begin with; libraries that it calls are counted for the function that calls them.
    """

    name: str
    weights: Weights
    total: float
    samples: int
    own: str = ""
    notes: tuple[str, ...] = ()

    def error(self, share: float) -> float:
        """Half of the 95 % interval that sampling leaves of something with this share of the total (binomial)."""
        if not self.samples:
            return 0.0
        spread = max(share * (1 - share), 1 / self.samples)
        return 1.96 * self.total * math.sqrt(spread / self.samples)


@dataclass(frozen=True)
class Part:
    """What one function takes itself, with the libraries and the native code that it calls.

    line: where most of that is. inner: the function below it that takes most of it, None where none takes much.
    """

    function: Frame
    value: float
    line: int
    inner: Frame | None = None
    waits: bool = False


@dataclass(frozen=True)
class Change:
    """What a function takes in two profiles. error: half of the 95 % interval of the difference."""

    function: Frame
    before: float
    after: float
    error: float
    line: int
    waits: bool = False

    @property
    def more(self) -> float:
        return self.after - self.before

    @property
    def known(self) -> bool:
        """Whether the difference is more than sampling brings about."""
        return abs(self.more) > self.error


def parse(text: str) -> dict[Stack, float]:
    """Samples by stack from folded text, `outer (file:line);inner (file:line) count` in each line."""
    found: dict[Stack, float] = {}
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        if frames and count.isdigit():
            stack = tuple(_frame(frame) for frame in frames.split(";"))
            found[stack] = found.get(stack, 0.0) + int(count)
    return found


def _frame(text: str) -> Frame:
    found = _FRAME.fullmatch(text)
    if found is None:
        return Frame(text)
    # An address without a symbol differs from run to run: the library is what is known.
    name = "?" if _ADDRESS.fullmatch(found["name"]) else found["name"]
    return Frame(name, _BUILD.sub("", found["file"]), int(found["line"] or 0))


def of_calls(samples: Weights, marker: str = CALLS) -> tuple[dict[Stack, float], dict[Stack, float]]:
    """(stacks of the calling thread, those of other threads at work), without the frames of the harness."""
    calling: dict[Stack, float] = {}
    beside: dict[Stack, float] = {}
    for stack, count in samples.items():
        below = [n for n, frame in enumerate(stack) if frame.name == marker and frame.file.endswith(INSIDE)]
        if below:
            rest = stack[below[-1] + 1 :]
            if rest and not rest[0].file.endswith(INSIDE):  # else it is between two calls
                _add(calling, rest, count)
        elif not any(frame.file.endswith("harness/worker.py") for frame in stack) and not _waits(_python(stack)):
            _add(beside, (Frame(OTHER_THREADS), *_begun(stack)), count)
    return calling, beside


def profile(name: str, samples: Weights, total: float, *, own: str = "", notes: Iterable[str] = ()) -> Profile:
    """Samples as milliseconds per unit of work. total: what a unit takes, measured without the sampler.

    ValueError where no sample fell into a call.
    """
    calling, beside = of_calls(samples)
    count = sum(calling.values())
    if not count:
        raise ValueError(f"{name}: none of {sum(samples.values()):g} samples fell into a call")
    scale = total / count
    weights = {stack: value * scale for stack, value in (calling | beside).items()}
    return Profile(name, weights, total, int(count), own, tuple(notes))


def ranked(found: Profile) -> list[Part]:
    """Functions by what they take, the most first; where others work, those that wait for them come last."""
    totals: dict[tuple[Frame, bool], float] = {}
    lines: dict[tuple[Frame, bool], dict[int, float]] = {}
    inner: dict[tuple[Frame, bool], dict[Frame, float]] = {}
    for stack, value in found.weights.items():
        frame = next((frame for frame in reversed(stack) if found.own and frame.file.startswith(found.own)), _python(stack))
        key = frame.function, _waits(_python(stack))
        _add(totals, key, value)
        _add(lines.setdefault(key, {}), frame.line, value)
        _add(inner.setdefault(key, {}), stack[-1].function, value)
    at_work = any(stack[0].name == OTHER_THREADS for stack in found.weights)
    parts = []
    for (function, waits), value in totals.items():
        below = inner[function, waits]
        deepest = _most(below)
        told = deepest != function and below[deepest] > INNER_SHARE * value
        parts.append(Part(function, value, _most(lines[function, waits]), deepest if told else None, waits))
    return sorted(parts, key=lambda part: (at_work and part.waits, -part.value))


def changes(before: Profile, after: Profile) -> list[Change]:
    """What each function takes in both, the largest difference first; those that sampling cannot tell come last."""
    old = {(part.function, part.waits): part for part in ranked(before)}
    new = {(part.function, part.waits): part for part in ranked(after)}
    found = []
    for key in old.keys() | new.keys():
        one, other = old.get(key), new.get(key)
        was, now = one.value if one else 0.0, other.value if other else 0.0
        error = math.hypot(before.error(_share(was, before)), after.error(_share(now, after)))
        where = other or one
        assert where is not None
        found.append(Change(where.function, was, now, error, where.line, where.waits))
    return sorted(found, key=lambda change: (not change.known, -abs(change.more), change.function.words))


def _share(value: float, of: Profile) -> float:
    return min(1.0, value / of.total) if of.total else 0.0


def _python(stack: Stack) -> Frame:
    """The innermost Python function, the innermost of all where there is none."""
    return next((frame for frame in reversed(stack) if not frame.native), stack[-1])


def _waits(frame: Frame) -> bool:
    return frame.file.startswith(WAITING)


def _begun(stack: Stack) -> Stack:
    """A thread's stack without what started it."""
    first = next((n for n, frame in enumerate(stack) if not frame.native and not _waits(frame)), 0)
    return stack[first:]


def _most(values: Mapping[T, float]) -> T:
    return max(values, key=lambda one: values[one])


def _add(found: dict[T, float], key: T, value: float) -> None:
    found[key] = found.get(key, 0.0) + value
