"""The one table of cheats: what each does, the check that is meant for it, what becomes of it with that check and without.

tests/test_adversarial.py runs it; docs/adversarial.md shows it, written by `python tests/adversarial_table.py`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import parity, registry
from harness.measure import effects, lane, launch, rounds, suspects, trust
from harness.measure.fuzz import _Pair
from harness.measure.process import PATIENCE_SECONDS, WorkerFailed, WorkerProcess
from harness.measure.workload import Workload
from harness.record import Outcome

Off = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Check:
    """Something in the harness that tells a cheat. `off` takes it out, in this process alone; `worker`: what the plugin takes out there.

    door: what runs it: a session ("run"), adversarial inputs ("fuzz"), settings flipped ("settings"), or the registry. timed: whether
    it needs timed calls. compares: without it the cheat shows only beside its twin. seconds, patience: in its session, of the timed
    calls of each row, and of any one command.
    """

    name: str
    where: str
    does: str
    off: Off = lambda patch: None
    worker: str = ""
    door: str = "run"
    timed: bool = True
    compares: bool = False
    seconds: float = 0.05
    patience: float = PATIENCE_SECONDS

    @property
    def session(self) -> tuple[bool, float, float]:
        """Checks for which this is the same share a session."""
        return self.timed, self.seconds, self.patience


@dataclass(frozen=True)
class Cheat:
    """`name` cheats, `name`_honest is the same code without it.

    caught, missed: what the fate of its row (Trial.fate) must match with the check, and without. source: where it was seen.
    """

    name: str
    does: str
    check: Check
    caught: str
    missed: str = "^measured"
    component: str = "sorting"
    entry: str = ""
    twin: str = ""
    source: str = ""

    @property
    def full(self) -> str:
        return f"{self.component}.{self.name}"

    @property
    def honest(self) -> str:
        return f"{self.component}.{self.twin or self.name + '_honest'}"

    @property
    def values(self) -> dict[str, str]:
        """Entry points: name -> value."""
        if self.entry:
            return {self.full: f"adversarial_plugin.{self.entry}", self.honest: f"adversarial_plugin.{self.twin}:IMPLEMENTATION"}
        module = "pairs" if self.component == "sorting" else self.component
        value = f"adversarial_plugin.{module}:{self.name.upper()}"
        return {self.full: f"{value}.cheats", self.honest: f"{value}.honest"}


def patched(owner: Any, name: str, value: Any) -> Off:
    return lambda patch: patch.setattr(owner, name, value)


def _no_witness(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(trust.Witness, "contradiction", lambda self: "")
    patch.setattr(trust.Witness, "gross", lambda self: False)


def _all_pass(*arguments: Any, **options: Any) -> tuple[parity.ParityResult, ...]:
    return tuple(
        dataclasses.replace(result, passed=True, message="") for result in parity.compare(*arguments, **options) if not result.passed
    )


def _first_only(patch: pytest.MonkeyPatch) -> None:
    judge = lane.judge_outputs

    def first(one: lane.Lane, seed: int, outputs: Any, where: str, *rest: Any) -> None:
        if where == "the first call":
            judge(one, seed, outputs, where, *rest)

    for module in (launch, lane):  # of the calls before the rounds, and of those in them
        patch.setattr(module, "judge_outputs", first)


def _no_patience(patch: pytest.MonkeyPatch) -> None:
    wait = WorkerProcess._wait
    patch.setattr(WorkerProcess, "_wait", lambda self, deadline, patience, tick=None: wait(self, math.inf, patience, tick))


def _no_word(self: WorkerProcess) -> WorkerFailed:
    self.kill()
    return WorkerFailed(Outcome())


def _asked_for(self: Workload, seed: int, outputs: Any) -> float:
    return float(self.inputs(seed)["samples"])


PARITY = Check(
    "parity",
    "measure.lane.compare",
    "outputs are compared with the reference's before anything is timed",
    patched(lane, "compare", _all_pass),
    timed=False,
)
LATER = Check(
    "parity of later calls",
    "measure.lane.judge_outputs",
    "outputs of warm and of timed calls are compared as those of the first call are, held together, and copied the moment a call returns",
    _first_only,
)
NOT_FINITE = Check(
    "NaN",
    "measure.lane.not_finite",
    "a NaN where the reference has none ends the row",
    patched(lane, "not_finite", lambda o: None),
    timed=False,
)
SURPRISE = Check(
    "a new input",
    "measure.suspects.surprise",
    "an input drawn anew in each session must be answered as the reference answers it",
    patched(suspects, "surprise", lambda lanes: None),
)
REPLAY = Check(
    "replay",
    "measure.suspects.replaying",
    "a repeated input must cost what a new one costs",
    patched(suspects, "replaying", lambda one: ""),
)
INPUTS = Check(
    "inputs", "measure.launch.judge_inputs", "inputs have the digest they had", patched(launch, "judge_inputs", lambda one, answer: None)
)
REAL = Check("real outputs", "returned.real", "outputs are made arrays while the timer runs", worker="materialising", compares=True)
HIDDEN = Check(
    "hidden work",
    "measure.rounds.HIDDEN_SECONDS",
    "processor time that other threads take after a call has returned is charged to it",
    patched(rounds, "HIDDEN_SECONDS", math.inf),
    compares=True,
)
EARLY_CLOCK = Check("an early clock", "clock.Stopwatch", "the clock is bound before a plugin is imported", worker="early_clock")
WITNESS = Check(
    "witness",
    "measure.trust.Witness",
    "times are held against those that the system reports of the process",
    _no_witness,
)
CROWDED = Check(
    "threads",
    "measure.suspects.crowded",
    "a row has no more threads at work at once than it honours (Linux)",
    patched(suspects, "crowded", lambda one: ""),
)
ABSENT = Check(
    "requirements",
    "measure.suspects.absent",
    "what a row requires must be imported, its kernel by load(), its packages by the first call",
    patched(suspects, "absent", lambda one: ""),
)
BORROWING = Check(
    "own code",
    "measure.suspects.borrowing",
    "no code of another implementation's load() runs in a call",
    patched(suspects, "borrowing", lambda one: ""),
)
UNSTEADY = Check(
    "steadiness",
    "measure.suspects.unsteady",
    "outputs that differ from call to call within what parity allows are noted",
    patched(suspects, "unsteady", lambda one: ""),
)
LEAKING = Check(
    "leak",
    "measure.suspects.leaking",
    "memory may not grow through the second half of the calls",
    patched(suspects, "leaking", lambda one: ""),
    seconds=0.3,
)
GONE = Check(
    "ends",
    "measure.process.WorkerProcess._gone",
    "a process that ends by itself says how",
    patched(WorkerProcess, "_gone", _no_word),
    timed=False,
)
PATIENCE = Check(
    "patience", "measure.process.WorkerProcess._wait", "a command has a time limit", _no_patience, timed=False, patience=2.0
)
PRODUCED = Check(
    "produced units",
    "measure.workload.Workload.produced",
    "units are counted in the output, never in the request",
    patched(Workload, "produced", _asked_for),
    timed=False,
    compares=True,
)
FUZZ = Check(
    "adversarial inputs",
    "measure.fuzz",
    "Hypothesis looks for an input on which row and reference differ",
    patched(_Pair, "difference", lambda self, inputs: ""),
    door="fuzz",
)
FLIP = Check(
    "settings",
    "measure.effects",
    "a setting that a row honours must show",
    lambda patch: patch.setitem(effects._LOOKS, "output", lambda bench, effect: (True, "")),
    door="settings",
)
SLOW_IMPORT = Check(
    "import time",
    "registry.SLOW_IMPORT_SECONDS",
    "an import over 50 ms is named",
    patched(registry, "SLOW_IMPORT_SECONDS", math.inf),
    door="registry",
)
ASLEEP = Check(
    "import rest",
    "registry.SLEEPING_IMPORT_SECONDS",
    "an import that waits longer than 0.3 s is named (Linux)",
    patched(registry, "SLEEPING_IMPORT_SECONDS", math.inf),
    door="registry",
)


class _Silent:
    """A stand-in for the io module whose texts stay empty."""

    class StringIO:
        def write(self, text: str) -> int:
            return len(text)

        def flush(self) -> None:
            return None

        def getvalue(self) -> str:
            return ""


PRINTED = Check(
    "import output", "registry.discover", "what an import prints is kept and named", patched(registry, "io", _Silent), door="registry"
)

SMALL = "ports of five small models"
CODEC = "a music codec and its ports"
FEATURES = "a service's lightweight mode"
PEERS = "kernels that fooled a leaderboard"

CHEATS = (
    # Work that is not done.
    Cheat("replays", "returns a cached result", REPLAY, "untrusted: .*it replays results"),
    Cheat("skips_repeats", "skips the work where an input is the one before", REPLAY, "untrusted: .*it replays results"),
    Cheat("stale", "answers with its first result for ever", PARITY, "parity: .*a warm call: y is not identical"),
    Cheat(
        "knows_the_inputs",
        "right on the inputs of the benchmark, wrong on all others",
        SURPRISE,
        "parity: .*an input it had not seen: y is not identical",
    ),
    Cheat(
        "wrong_later",
        "right in the first calls, wrong once it is timed",
        LATER,
        "parity: .*a timed call: y is not identical",
        "^parity: .*an input it had not seen",
    ),
    Cheat(
        "unequal_work",
        "processes a segment of 4 s where the reference has one of 30 s",
        PARITY,
        "parity: .*expected shape \\(20000,\\)",
        source=CODEC,
    ),
    Cheat(
        "says_less",
        "produces 0.8 of the audio asked for, under a parity of levels",
        PRODUCED,
        "^measured, produced 0.8 of",
        "^measured$",
        "speech",
        source=FEATURES,
    ),
    Cheat("lazy", "returns an output that is computed when somebody looks", REAL, "^measured$", "^measured for 0", source=PEERS),
    Cheat("unfinished", "returns before a thread has filled its output", PARITY, "parity: .*y is not identical"),
    Cheat("hides_work", "leaves work to a thread that goes on when the timer has stopped", HIDDEN, "^measured$", "^measured for 0"),
    # Time that is not told.
    Cheat(
        "patches_time",
        "replaces the functions of the time module",
        EARLY_CLOCK,
        "^measured$",
        "^(untrusted: .*its clock|hung)",
        source=PEERS,
    ),
    Cheat("patches_clock", "makes the harness's own clock run 20 times slower", WITNESS, "untrusted: .*its clock reports"),
    Cheat("more_threads", "works with two threads where one was asked for", CROWDED, "untrusted: .*with threads=1 it had up to"),
    # Another result.
    Cheat("nan", "NaN in one cell", NOT_FINITE, "not finite: .*output 'y' is NaN at \\[7\\]", "^parity: "),
    Cheat("off_by_one", "the last value is the one before it", PARITY, "parity: .*y is not identical at \\[19999\\]"),
    Cheat("flushes_denormals", "denormals become zero", PARITY, "parity: .*y is not identical"),
    Cheat("wrong_dtype", "float32 where float64 is asked", PARITY, "parity: .*dtype float32 vs float64"),
    Cheat("wrong_shape", "one axis too many", PARITY, "parity: .*expected shape \\(20000,\\), found \\(1, 20000\\)"),
    Cheat(
        "aliases",
        "returns the same buffer each time",
        LATER,
        "parity: .*a (warm|timed) call: y is not identical",
        "^(untrusted: .*a later call changed the output of the first|measured)",
    ),
    Cheat("mutates", "changes its input", INPUTS, "untrusted: .*a call changed the inputs"),
    Cheat(
        "unsteady",
        "another result each time",
        LATER,
        "parity: .*a (warm|timed) call: y is not identical",
        "^parity: .*an input it had not seen",
    ),
    Cheat("jitters", "another result each time, within the bounds", UNSTEADY, "note: the same input gave", "^measured$", "recurrent"),
    Cheat("loses_a_tail", "loses the end at certain lengths, none of which is in a case", FUZZ, "expected shape", "^$", source=CODEC),
    Cheat("silent_float16", "computes in float16", PARITY, "parity: .*y differs", component="recurrent"),
    Cheat("lstm_skipped", "skips the LSTM", PARITY, "parity: .*y differs", component="recurrent", source=SMALL),
    Cheat("gate_order", "takes the gates in the order i, o, f, g", PARITY, "parity: .*y differs", component="recurrent", source=SMALL),
    Cheat("dropped_bias", "forgets the recurrent bias", PARITY, "parity: .*y differs", component="recurrent", source=SMALL),
    Cheat("dropped_recurrence", "forgets W_hh: right on single steps", PARITY, "parity: .*y differs", component="recurrent", source=SMALL),
    Cheat("transposed_recurrence", "W_hh transposed", PARITY, "parity: .*y differs", component="recurrent", source=SMALL),
    Cheat("last_activation", "the last activation on all layers", PARITY, "parity: .*y differs", component="recurrent", source=SMALL),
    Cheat(
        "stateful",
        "keeps its state between calls",
        LATER,
        "parity: .*a warm call: y differs",
        "^parity: .*an input it had not seen",
        "recurrent",
        source=SMALL,
    ),
    Cheat("zero_models", "loads no model and says that all is well", PARITY, "parity: .*y differs", component="recurrent", source=SMALL),
    # Another way.
    Cheat(
        "falls_back",
        "computes without the library it names",
        ABSENT,
        "untrusted: .*it requires wave and never imported it",
        source=SMALL,
    ),
    Cheat("borrows", "runs another implementation", BORROWING, "untrusted: .*its calls run adversarial_plugin.honest:REFERENCE"),
    Cheat("dead_setting", "takes a setting and does nothing with it", FLIP, "precision is dead", "^$", source=FEATURES),
    # Bad ends, bad manners.
    Cheat("leaks", "keeps every result", LEAKING, "untrusted: .*it leaks"),
    Cheat("segfaults", "crashes", GONE, "crashed: .*died of SIGSEGV", "^no record"),
    Cheat("hangs", "does not return", PATIENCE, "hung: .*the first call did not return within 2 s"),
    Cheat(
        "prints_at_import",
        "prints when it is imported",
        PRINTED,
        "prints at import time: 'welcome",
        "^$",
        entry="prints_at_import:IMPLEMENTATION",
        twin="quiet_at_import",
    ),
    Cheat(
        "works_at_import",
        "computes when it is imported",
        SLOW_IMPORT,
        "ms of CPU time to import",
        "^$",
        entry="works_at_import:IMPLEMENTATION",
        twin="quiet_at_import",
    ),
    Cheat(
        "sleeps_at_import",
        "sleeps when it is imported",
        ASLEEP,
        "waits \\d+ ms while it is imported",
        "^$",
        entry="sleeps_at_import:IMPLEMENTATION",
        twin="quiet_at_import",
    ),
)


BY_CONSTRUCTION = (
    (
        "lists are converted to arrays inside the timer",
        "inputs are made before a worker starts, and each call gets the same arrays",
        "test_adversarial.py::test_inputs_are_arrays_before_any_timer_starts",
    ),
    (
        "audio is counted once, time N times",
        "units are counted in the output of one call, seconds per call",
        "test_metrics.py::test_rtf_counts_the_audio_that_was_produced",
    ),
    (
        "cold is compared with warm",
        "first calls and warm calls are metrics of their own",
        "test_metrics.py::test_memory_load_and_first_call",
    ),
    (
        "launches of different moments are compared",
        "a launch pairs only with the same launch",
        "test_metrics.py::test_a_launch_pairs_only_with_the_same_launch",
    ),
    ("a literal stands for a measurement", "a claim is not held before a record decides it", "test_claims.py::test_statuses"),
    (
        "a stream of a device is at work when the timer stops",
        "a device clock waits for its device",
        "test_clock.py::test_a_device_clock_waits_before_each_reading",
    ),
    (
        "a gate that measured nothing, or less than planned, passes",
        "the plan is written first; what is missing is never green",
        "test_silent_greens.py::test_a_gate_that_measured_nothing_and_passed",
    ),
    (
        "baselines of another machine judge",
        "records of another machine are refused",
        "test_verdict.py::test_records_of_another_machine_are_refused",
    ),
)
"""Defects of published benchmarks that no implementation can bring in, why, and the test that shows it."""

BEYOND = (
    (
        "Right on every input that is tried, wrong on others",
        "cases, one new input per session and adversarial inputs are finite; `--input` adds yours",
    ),
    ("Replays that save less than three quarters of a call", "a repeated input is honestly faster too: its data lie in a cache"),
    ("Clocks that lie by less than a factor of 3 (processor time) or 10 (wall)", "from outside a command is seen with the cost of asking"),
    (
        "Code that rewrites the harness in its own process consistently",
        "they share a process; only what the system and the parent see is out of its reach",
    ),
    (
        "A fallback inside a library, or one that imports what it does not use, or computes through helpers at module level",
        "imports and code objects are seen, intent is not",
    ),
    (
        "More threads than asked for by a row that does not honour `threads`, in child processes, or elsewhere than on Linux",
        "the first promises nothing, the second is noted and judged on wall time, the third shows no states of threads",
    ),
    ("Leaks under 16 MB over the second half of a session's calls", "allocators grow by as much"),
    (
        "Lower precision, or results that change from call to call, within the bounds of parity",
        "the contract allows it; the second is noted",
    ),
    ("A peer that is slow on purpose", "what an honest call of an outside library costs is for readers to judge"),
    ("A component that counts, makes or judges wrongly", "it is the definition; its author is trusted"),
    ("Records written by hand", "they are plain data; a gate measures both sides itself"),
)
"""What no check here can catch, and why."""

PAGE = Path(__file__).parent.parent / "docs" / "adversarial.md"


def page() -> str:
    """The page of the documentation."""
    checks = list(dict.fromkeys(cheat.check for cheat in CHEATS))
    lines = [
        "# Implementations that cheat or break",
        "",
        "Each of these is run beside its honest twin, the same code without the cheat. Tests show that it is caught by the check meant",
        "for it, that its twin passes, and that with that one check taken out it is not caught by it (`pytest tests/test_adversarial.py`).",
        "This page is written from the same table by `python tests/adversarial_table.py`.",
        "",
        "| cheat | what it does | check | caught as | without that check |",
        "|---|---|---|---|---|",
    ]
    for cheat in CHEATS:
        does = cheat.does + (f" (seen in {cheat.source})" if cheat.source else "")
        lines.append(f"| {cheat.name} | {does} | {cheat.check.name} | {_words(cheat.caught)} | {_words(cheat.missed)} |")
    lines += ["", "## The checks", "", "| check | what it does | where in `harness` |", "|---|---|---|"]
    lines += [f"| {check.name} | {check.does} | `{check.where}` |" for check in checks]
    lines += ["", "## Defects that no implementation can bring in", "", "| defect | why not | shown by |", "|---|---|---|"]
    lines += [f"| {defect} | {why} | `tests/{test}` |" for defect, why, test in BY_CONSTRUCTION]
    lines += ["", "## What no check here can catch", "", "| cheat | why |", "|---|---|"]
    lines += [f"| {cheat} | {why} |" for cheat, why in BEYOND]
    return "\n".join(lines) + "\n"


def _words(pattern: str) -> str:
    """What a pattern of a fate means to a reader."""
    plain = {
        "^measured$": "measured at its full cost",
        "^measured": "passes",
        "^measured for 0": "passes, at less than half its cost",
        "^$": "passes",
        "^no record": "no record (planned and missing is never green)",
    }
    if pattern in plain:
        return plain[pattern]
    text = pattern.lstrip("^").replace(".*", " ").replace("\\d+", "N").replace("\\", "")
    return " ".join(
        text.replace("|", " or ").replace("(untrusted", "untrusted").replace("hung)", "hung").replace("measured)", "passes").split()
    )


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
