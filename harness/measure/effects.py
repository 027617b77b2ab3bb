"""Does turning a setting show? Each Effect of a component, flipped on its case, for each implementation that honours it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from harness.component import Effect, Implementation
from harness.measure.process import PATIENCE_SECONDS, WorkerFailed, WorkerProcess, pins
from harness.measure.workload import Workload
from harness.registry import Registry, unavailable
from harness.settings import Settings

LAUNCHES = 3  # of which each must show a change of time, in one direction: two equal processes can differ by a fifth, either way
ROUNDS = (15, 30, 60)  # a setting that shows no change of time after some may be hidden by noise: after more it is dead
MORE_ROUNDS_WITHIN_SECONDS = 20.0
AGREEING = 2.8  # standard deviations of tossing a coin in each round: 13 of 15, 23 of 30, 41 of 60
LEAST_CHANGE = 0.05
LEAST_BYTES = 256 << 10


@dataclass(frozen=True)
class Flip:
    """One setting of one implementation between two values. `message` says what was seen, or why it counts as dead."""

    component: str
    implementation: str
    setting: str
    shown: bool
    message: str
    effect: Effect | None = None


def flip_settings(
    registry: Registry,
    chosen: Mapping[str, Sequence[Implementation]],
    *,
    settings: Settings | None = None,
    environment: Mapping[str, str] | None = None,
    patience: float = PATIENCE_SECONDS,
) -> list[Flip]:
    """Flip every effect of the chosen components (as Registry.select gives them).

    Reported as not shown: a setting without its stated effect, and one that no implementation honours. An implementation is given
    none but the settings it declares, so one that declares few is no fault.
    """
    found: list[Flip] = []
    for name, implementations in chosen.items():
        effects = registry.components[name].effects
        named = list(dict.fromkeys(effect.setting for effect in effects))
        usable = [item for item in implementations if unavailable(item) is None]
        for item in usable:
            turned = [effect for effect in effects if effect.setting in item.settings and has_value(item, effect)]
            for effect in turned:
                if not fixed(item, effect.setting):
                    found.append(_flip(_Bench(registry, item, settings or Settings(), environment or {}, patience), effect))
            for setting in named:
                if setting in item.settings and setting not in {effect.setting for effect in turned}:
                    message = f"{name}.{item.name} has no value of {setting} for which its component says what must show"
                    found.append(Flip(name, item.name, setting, False, message))
        honoured = {setting for item in usable for setting in item.settings}
        found += [Flip(name, "", s, False, f"no implementation of {name} honours {s}") for s in named if usable and s not in honoured]
    return found


def has_value(item: Implementation, effect: Effect) -> bool:
    """Whether it has one of the effect's values: where its variants name values of the setting, it has no others beside its own."""
    values = {variant.settings.get(effect.setting) for variant in item.variants} - {None}
    return not values or bool(values & set(effect.values))


def fixed(item: Implementation, setting: str) -> bool:
    """An implementation without a plain row, whose variants all give the setting one value, has nothing to turn."""
    return not item.plain and len({variant.settings.get(setting) for variant in item.variants} - {None}) == 1


@dataclass(frozen=True)
class _Bench:
    """Where one implementation is observed. Threads of BLAS are pinned to one, so that only the setting differs."""

    registry: Registry
    item: Implementation
    settings: Settings
    environment: Mapping[str, str]
    patience: float

    def workload(self, effect: Effect) -> Workload:
        return Workload(self.registry.components[self.item.component], effect.case)

    def start(self, effect: Effect, value: Any) -> WorkerProcess:
        """A worker with the setting at `value`, loaded."""
        own = self.settings.only(self.item.settings)
        if not self.item.plain:
            own = own.merged(self.item.variants[0].settings)
        given = own.merged({effect.setting: value})
        name = f"{self.item.component}.{self.item.name}"
        worker = WorkerProcess(name, pins(1, self.environment))
        try:
            implementation = self.registry.entry(name).value
            worker.ask("prepare", inputs={"0": self.workload(effect).inputs(0)}, seed=0)
            affinity = list(given.affinity) if given.affinity else None
            worker.ask("load", self.patience, implementation=implementation, settings=given.given(), affinity=affinity)
        except BaseException:
            worker.kill()
            raise
        return worker


def _flip(bench: _Bench, effect: Effect) -> Flip:
    name = f"{bench.item.component}.{bench.item.name}"
    first, second = (f"{effect.setting}={value}" for value in effect.values)
    try:
        shown, message = _refused(bench, effect) if effect.shows == "error" else _LOOKS[effect.shows](bench, effect)
    except WorkerFailed as failure:
        shown, message = False, f"{failure.outcome.kind}: {failure.outcome.message}"
    dead = "" if shown else f"{effect.setting} is dead: "
    text = f"{name}, case {effect.case}: {dead}{effect.shows} between {first} and {second}: {message}"
    return Flip(bench.item.component, bench.item.name, effect.setting, shown, text, effect)


def _refused(bench: _Bench, effect: Effect) -> tuple[bool, str]:
    with bench.start(effect, effect.values[0]) as worker:
        worker.ask("cold", bench.patience, seed=0)
    try:
        with bench.start(effect, effect.values[1]) as worker:
            worker.ask("cold", bench.patience, seed=0)
    except WorkerFailed as failure:
        return failure.outcome.kind == "raised", failure.outcome.message.splitlines()[0]
    return False, f"{effect.setting}={effect.values[1]} is accepted"


def _cold(bench: _Bench, effect: Effect) -> list[dict[str, Any]]:
    """The first call under each value, with the bytes it took beyond what was there before load."""
    answers = []
    for value in effect.values:
        with bench.start(effect, value) as worker:
            answers.append(worker.ask("cold", bench.patience, seed=0))
    return answers


def _output(bench: _Bench, effect: Effect) -> tuple[bool, str]:
    first, second = (answer["outputs"] for answer in _cold(bench, effect))
    same = first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and np.array_equal(first[name], second[name], equal_nan=first[name].dtype.kind in "fc")
        for name in first
    )
    return not same, "the outputs are equal" if same else "the outputs differ"


def _produced(bench: _Bench, effect: Effect) -> tuple[bool, str]:
    first, second = (bench.workload(effect).produced(0, answer["outputs"]) for answer in _cold(bench, effect))
    return first != second, f"{first} and {second} units"


def _bytes(bench: _Bench, effect: Effect) -> tuple[bool, str]:
    first, second = (int(answer["peak_bytes"]) for answer in _cold(bench, effect))
    return abs(second - first) > max(LEAST_BYTES, LEAST_CHANGE * first), f"{first / 1e6:.1f} and {second / 1e6:.1f} MB at the peak"


def _processes(bench: _Bench, effect: Effect) -> tuple[bool, str]:
    counts = []
    for value in effect.values:
        most = 0

        def look(pid: int) -> None:
            nonlocal most
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                family = [process, *process.children(recursive=True)]
                most = max(most, sum(member.num_threads() for member in family))

        with bench.start(effect, value) as worker:
            # Threads may live for one call only: look many times while calls go on.
            worker.ask("calls", bench.patience, look, count=1_000_000, seconds=0.3)
        counts.append(most)
    return counts[0] != counts[1], f"at most {counts[0]} and {counts[1]} threads and processes at work"


def _time(bench: _Bench, effect: Effect) -> tuple[bool, str]:
    """On either clock: a busy machine stretches the wall's, and work elsewhere (a device, a wait) is not on the processor's."""
    directions: dict[str, int] = {"wall": 0, "CPU": 0}
    said = ""
    for launch in range(LAUNCHES):
        ratios = _ratios(bench, effect)
        said = " and ".join(f"{np.median(of):.3g} times the {clock} time" for clock, of in ratios.items()) + " of a call"
        for clock, of in ratios.items():
            directions[clock] += (1 if np.median(of) > 1 else -1) if changed(of) else 0
        if max(map(abs, directions.values())) <= launch:
            return False, f"{said}, in {len(ratios['wall'])} rounds of launch {launch + 1}"
    return True, said


def _ratios(bench: _Bench, effect: Effect) -> Mapping[str, Sequence[float]]:
    """Time of a call under the second value over that under the first, by clock and round, until one shows a change or time is over."""
    with bench.start(effect, effect.values[0]) as one, bench.start(effect, effect.values[1]) as two:
        calls = {}
        for worker in (one, two):
            seconds = min(worker.ask("outputs", bench.patience, seeds=[0, 0, 0])["wall_ns"]) / 1e9
            calls[worker] = max(1, round(0.002 / max(seconds, 1e-6)))
        ratios: dict[str, list[float]] = {"wall": [], "CPU": []}
        started = time.monotonic()
        for rounds in ROUNDS:
            while len(ratios["wall"]) < rounds:
                # Who comes first takes turns, too: the first block after a pause may be slower.
                order = (one, two) if len(ratios["wall"]) % 2 else (two, one)
                answers = {worker: worker.ask("block", bench.patience, calls=calls[worker]) for worker in order}
                for clock, of in ratios.items():
                    first, second = (answers[worker][f"{clock.lower()}_ns"] / calls[worker] for worker in (one, two))
                    of.append(second / first if first > 0 else 1.0)  # a clock too coarse for a block says nothing
            if any(changed(of) for of in ratios.values()) or time.monotonic() - started > MORE_ROUNDS_WITHIN_SECONDS:
                break
        return ratios


def changed(ratios: Sequence[float]) -> bool:
    """Whether times of neighbouring blocks differ by more than chance: by enough, and too often in one direction."""
    agreeing = max(sum(ratio > 1 for ratio in ratios), sum(ratio < 1 for ratio in ratios))
    surprise = (agreeing - len(ratios) / 2) / (math.sqrt(len(ratios)) / 2)
    return abs(float(np.median(ratios)) - 1) > LEAST_CHANGE and surprise >= AGREEING


_LOOKS = {"output": _output, "produced": _produced, "bytes": _bytes, "processes": _processes, "time": _time}
