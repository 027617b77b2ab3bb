"""What a row may be up to beside being right and fast: after its timed calls its process answers for it.

Each question gives the reason to distrust the row, or "".
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from harness.measure import crowd
from harness.measure.lane import Lane, judge_outputs
from harness.record import Outcome

REPLAY_SECONDS = 0.5
REPLAY_FACTOR, REPLAY_EXCESS_SECONDS = 4.0, 50e-6
SURPRISE_SECONDS = 2.0
LEAK_BYTES, LEAK_SAMPLES = 16 << 20, 8
LEAK_REPEATS, LEAK_SECONDS = 3, 2.0


def reason(lane: Lane, *, fresh: bool) -> str:
    """Why this row is not to be trusted, or "". fresh: ask also what takes further calls."""
    found = absent(lane)
    if lane.blocks and not found:
        found = leaking(lane)
        if fresh and not found:
            found = crowded(lane) or borrowing(lane) or replaying(lane)
        if not found and (note := unsteady(lane)):
            lane.notes.append(note)
    return found


def surprise(lanes: Sequence[Lane]) -> None:
    """One input that nobody could know: each row must answer it as the reference does, in the reference's own process of this launch.

    Slow rows are spared; who answers another question (other settings) than the reference here is, too.
    """
    for reference in lanes:
        planned = reference.target.planned
        if planned.role != "reference" or planned.variant or reference.seconds > SURPRISE_SECONDS:
            continue
        seed = random.randrange(1000, 1 << 30)
        with reference.attempt():
            inputs = reference.target.workload.inputs(seed, keep=False)
            expected = reference.ask("run", inputs=inputs)
            for lane in lanes:
                if lane is not reference and not lane.done and lane.seconds < SURPRISE_SECONDS and _same_question(lane, reference):
                    with lane.attempt():
                        _surprise(lane, seed, lane.ask("run", inputs=inputs), expected)


def _same_question(lane: Lane, reference: Lane) -> bool:
    """Whether both are held against the very same outputs, and come from the same side of a gate."""
    ours, theirs = lane.target.expected, reference.target.expected
    if isinstance(ours, Outcome) or isinstance(theirs, Outcome) or lane.target.paths != reference.target.paths:
        return False
    return all(ours[seed] is theirs[seed] for seed in ours)


def _surprise(lane: Lane, seed: int, answer: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    where = "an input it had not seen"
    if "refused" in answer or "refused" in expected:
        if "refused" not in expected:
            raise lane.distrust(f"{where} (seed {seed}) is refused: {answer['refused']}")
        return
    judge_outputs(lane, seed, answer["outputs"], where, expected["outputs"])


def absent(lane: Lane) -> str:
    """What it requires must be imported, a kernel by load() and a package by the first call: else something simpler answers in its name."""
    if not lane.first.get("unused") or _has_children(lane):
        return ""
    names = ", ".join(lane.first["unused"])
    return f"it requires {names} and never imported it: what else computes its results? load() is the place to import it"


def borrowing(lane: Lane) -> str:
    """No other implementation of the component may run in its place."""
    if lane.seconds > REPLAY_SECONDS or not lane.target.others:
        return ""
    other = lane.ask("borrowed", others=list(lane.target.others))["borrowed"]
    return f"its calls run {other}, another implementation" if other else ""


def crowded(lane: Lane) -> str:
    """No more threads at work at once than it was given and says to honour (Linux)."""
    threads = lane.target.planned.settings.get("threads")
    if not threads or lane.seconds > REPLAY_SECONDS or sys.platform != "linux":
        return ""
    assert lane.worker is not None
    onlooker = crowd.Onlooker()
    lane.worker.ask("calls", lane.patience, onlooker.look, count=1_000_000, seconds=crowd.SECONDS)
    looks = onlooker.at_work()
    crowds = sum(look > threads for look in looks)
    if len(looks) >= crowd.LEAST_LOOKS and crowds > crowd.SHARE * len(looks):
        seen = f"more than {threads} in {crowds} of {len(looks)} looks"
        return f"with threads={threads} it had up to {max(looks)} threads at work at once, {seen}"
    return ""


def leaking(lane: Lane) -> str:
    """Memory that grows with every call, through the second half of the calls as through the first, and on when asked for more."""
    if len(lane.memory) < LEAK_SAMPLES:
        return ""
    middle, third, last = (lane.memory[len(lane.memory) * quarter // 4 - 1] for quarter in (2, 3, 4))
    calls, grown = last[0] - middle[0], last[1] - middle[1]
    steady = min(third[1] - middle[1], last[1] - third[1]) > LEAK_BYTES / 4
    if grown > LEAK_BYTES and steady and all(_grows(lane, calls, grown / calls) for _ in range(LEAK_REPEATS)):
        return f"its memory grew by {grown / 1e6:.0f} MB over {calls} calls, {grown / calls:.3g} bytes each, and on and on: it leaks"
    return ""


def _grows(lane: Lane, calls: int, each: float) -> bool:
    """Whether as many calls again take at least half as much memory each: an allocator that fills its pools ends."""
    before = lane.ask("check", inputs=False)["rss_bytes"]
    made = len(lane.ask("calls", count=calls, seconds=LEAK_SECONDS)["calls_ns"])
    return bool(lane.ask("check", inputs=False)["rss_bytes"] - before > each * made / 2)


def unsteady(lane: Lane) -> str:
    """Different outputs for the same input, each within what parity allows: a property to know, not a fault."""
    most = max(map(len, lane.trusted.values()), default=0)
    return f"the same input gave {most} different outputs, all within what parity allows" if most > 1 else ""


def replaying(lane: Lane) -> str:
    """An input that repeats the one before must cost what a new one costs."""
    if lane.seconds > REPLAY_SECONDS or not _replayed(lane, 1):
        return ""
    # One call may be slow by chance; four are slow for a reason.
    times = _replayed(lane, 3)
    return "inputs it has seen take {:.3g} s, new ones {:.3g} s: it replays results".format(*times) if times else ""


def _replayed(lane: Lane, calls: int) -> tuple[float, float] | None:
    """Seconds on known and on fresh inputs where the known are much faster, else None."""
    workload = lane.target.workload
    answer = lane.ask("fresh", inputs=[workload.inputs(random.randrange(1000, 1 << 30), keep=False) for _ in range(calls)])
    # Of both clocks: a busy machine stretches the one, threads that go on after a call the other.
    pairs = [(max(answer[f"known_{clock}_ns"]) / 1e9, min(answer[f"fresh_{clock}_ns"]) / 1e9) for clock in ("wall", "cpu")]
    return pairs[0] if all(unseen > REPLAY_FACTOR * known + REPLAY_EXCESS_SECONDS for known, unseen in pairs) else None


def _has_children(lane: Lane) -> bool:
    assert lane.worker is not None
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(lane.worker.pid).children())
    return False
