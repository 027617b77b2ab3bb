"""What follows from the figures of a callback and of the empty one beside it, pure: one answer per question.

What only the callback itself can do (allocate, lock, block, tear a result, lag otherwise than it says) is never excused by a busy
machine. What the machine has a part in (misses, wake jitter) is judged beside the empty callback alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.metrics import EMPTY, FALLBACK
from harness.played import Figures
from harness.record import Planned, Record
from harness.stats import Interval, exactly
from harness.verdict import Answer, Row, State

LEAST_SECONDS = 60.0
"""A proof is at least so long; a shorter session can find faults, but not their absence."""

ASKED = ("allocations", "locks", "voluntary", "misses", "wake_jitter", "latency", "torn", "unfinite", "results")
"""What is asked about a callback, by the metric of the answer; the last three where it uses results."""

SURE = 0.05
"""How often an equal callback may look worse: the level of the one-sided tests over windows."""

LEAST_JITTER_SECONDS, JITTER_SHARE = 10e-6, 0.01
"""Wake jitter may differ by so much, or by so much of a block where that is more: below that it changes no deadline."""


def row_of(item: Planned, record: Record) -> Row:
    """The row of one callback at one size of block."""
    played = record.played
    if played is None:
        happened = f"{record.outcome.kind}: {record.outcome.message}".rstrip(": ")
        again = f"harness run {item.component}.{item.implementation} --only realtime --audio-buffer {item.settings['audio_buffer']}"
        return Row(item, (Answer("run", "fail", f"{happened}; reproduce: {again}"),))
    answers = judge(played.subject, played.empty, played.latency, played.frames, played.rate)
    metrics = {**_metrics(played.subject), **{f"{EMPTY}{name}": value for name, value in _metrics(played.empty).items()}}
    metrics["latency_samples"] = exactly(played.latency)
    return Row(item, (Answer("run", "pass"), *answers), metrics, launches=1, build=record.build)


def judge(subject: Figures, empty: Figures, latency: int, frames: int, rate: float) -> tuple[Answer, ...]:
    """The answers about one callback at one size of block. latency: what it reports, in samples."""
    asked = [
        _never("allocations", subject.allocations, "calls of the allocator in the callback, free included"),
        _never("locks", subject.locks, "calls of locks in the callback"),
        _voluntary(subject, empty),
        _misses(subject, empty),
        _jitter(subject, empty, frames / rate),
        _latency(subject, latency),
    ]
    if subject.results is not None:
        asked.append(_never("torn", subject.results.torn, "results whose payload does not fit its checksum"))
        asked.append(_never("unfinite", subject.results.unfinite, "results with NaN or infinity that reached the callback's side"))
        asked.append(_seen(subject.results.seen))
    return tuple(asked)


def clean_stretch(missed: Sequence[bool]) -> tuple[int, int]:
    """First and past-the-last number of the longest run of windows without a miss."""
    best = (0, 0)
    start = 0
    for number, one in enumerate([*missed, True]):
        if one:
            best = max(best, (start, number), key=lambda pair: pair[1] - pair[0])
            start = number + 1
    return best


def more_than_chance(subject: int, empty: int, sure: float = SURE) -> bool:
    """Whether so many windows of the subject beside so many of the empty one are more than two equal callbacks would show."""
    total = subject + empty
    return total > 0 and sum(math.comb(total, k) for k in range(subject, total + 1)) / 2**total < sure


def median_interval(values: Sequence[float], sure: float = SURE) -> tuple[float, float, float]:
    """The median, and the order statistics that enclose the true one (two-sided sign test); infinite with too few values."""
    ordered, n = sorted(values), len(values)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    tail, rank = 0.0, 0
    while rank < n:
        tail += math.comb(n, rank) / 2**n
        if 2 * tail > sure:
            break
        rank += 1
    return (middle, ordered[rank - 1], ordered[n - rank]) if rank else (middle, -math.inf, math.inf)


def _answer(metric: str, state: State, value: float, limit: float, message: str = "") -> Answer:
    return Answer("realtime", state, message if state != "pass" else "", metric, exactly(value), limit)


def _never(metric: str, count: int, what: str) -> Answer:
    return _answer(metric, "fail" if count else "pass", count, 0, f"{metric}: expected no {what}, found {count}")


def _voluntary(subject: Figures, empty: Figures) -> Answer:
    """A thread gives up the processor only by itself: it waited for something."""
    state: State = "fail" if subject.voluntary > empty.voluntary else "pass"
    seen = f"{subject.voluntary} voluntary context switches, the empty one {empty.voluntary}"
    message = f"voluntary: the callback blocked: expected none, found {seen}"
    return _answer("voluntary", state, subject.voluntary, empty.voluntary, message)


def _misses(subject: Figures, empty: Figures) -> Answer:
    """Over the longest stretch in which the empty callback, too, kept every deadline."""
    first, last = clean_stretch(empty.missed_windows)
    windows = len(empty.missed_windows)
    seconds = (last - first) * empty.seconds / windows
    own, its = sum(subject.missed_windows), sum(empty.missed_windows)
    inside = sum(subject.missed_windows[first:last])

    def answer(state: State, message: str = "") -> Answer:
        return _answer("misses", state, subject.misses, empty.misses, f"misses: {message}")

    of_them = f" ({subject.woken_late} of them by waking after the deadline)" if subject.woken_late else ""
    said = f"{subject.misses} deadlines missed{of_them} in {own} of {windows} windows, by the empty callback {empty.misses} in {its}"
    if more_than_chance(own, its):
        return answer("fail", said)
    if seconds < min(LEAST_SECONDS, empty.seconds) * 0.99:
        todo = "stop other work" if empty.realtime else f"allow real-time priority ({empty.why}), stop other work"
        return answer(
            "inconclusive", f"{said}: this machine keeps no deadlines for {LEAST_SECONDS:g} s on end even for nothing; {todo}, run again"
        )
    if inside:
        return answer("inconclusive", f"{said}: too few to tell from chance; run again, for longer (--seconds {2 * empty.seconds:.0f})")
    if seconds < LEAST_SECONDS * 0.99:
        return answer("inconclusive", f"none in {seconds:.3g} s, which is too short for a proof: it takes --seconds {LEAST_SECONDS:g}")
    return answer("pass")


def _jitter(subject: Figures, empty: Figures, period: float) -> Answer:
    """99 % wake jitter, the median over pairs of neighbouring windows."""
    middle, low, high = median_interval([ours - its for ours, its in zip(subject.wakes, empty.wakes, strict=True)])
    margin = max(LEAST_JITTER_SECONDS, JITTER_SHARE * period)
    state: State = "fail" if low > margin else "pass" if high <= margin else "inconclusive"
    more = f"{middle * 1e6:.1f} us [{low * 1e6:.1f}, {high * 1e6:.1f}] more of wake jitter (p99) than the empty callback's"
    advice = "" if state == "fail" else f"; {len(subject.wakes)} windows do not decide it: run again for longer, on a quiet machine"
    return _answer("wake_jitter", state, middle, margin, f"wake_jitter: {more}, allowed {margin * 1e6:.1f} us{advice}")


def _latency(subject: Figures, reported: int) -> Answer:
    """Where an impulse came out, in every window."""
    found = sorted(set(subject.latencies))
    if found == [reported]:
        return _answer("latency", "pass", reported, reported)
    shown = ", ".join("no impulse" if one < 0 else str(one) for one in found[:5])
    return _answer("latency", "fail", found[-1], reported, f"latency: reported {reported} samples, measured {shown}")


def _seen(count: int) -> Answer:
    """A callback that never uses a result keeps every deadline."""
    return _answer("results", "pass" if count else "fail", count, 1, "results: expected results of inference in the callback, found none")


_COUNTS = ("callbacks", "misses", "woken_late", "voluntary", "involuntary", "faults", "allocations", "locks")


def _metrics(one: Figures) -> dict[str, Interval]:
    found: dict[str, float] = {
        "played_seconds": one.seconds, **{name: getattr(one, name) for name in _COUNTS},
        **_named("callback", one.run, "p50", "p99", "p999", "max"), **_named("wake", one.wake, "p50", "p99", "max"),
    }  # fmt: skip
    if (results := one.results) is not None:
        found |= {name: getattr(results, name) for name in ("seen", "skipped", "gaps", "dropped", "torn", "unfinite")}
        found |= _named("age", results.ages, "p50", "p99", "max") if results.ages else {}
        found |= {f"{FALLBACK}{name}": share for name, share in results.flagged.items()}
    return {name: exactly(value) for name, value in found.items()}


def _named(of: str, values: Sequence[float], *names: str) -> dict[str, float]:
    return {f"{of}_{name}_seconds": value for name, value in zip(names, values, strict=True)}
