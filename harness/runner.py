"""What a worker does with one implementation: load, call and time it, keep outputs for checking.

The clocks are bound before any plugin is imported. Timed outputs are made real inside the timer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import random
import resource
import sys
import threading
from collections.abc import Generator, Mapping
from time import perf_counter_ns, process_time_ns, thread_time_ns
from typing import Any

import numpy as np

from harness import clock, cputime, memory, origin, returned
from harness.component import Implementation, Inputs, Loaded, Run
from harness.settings import Settings

SWEEP_BYTES = 64 << 20
SETTLED = 1.25
MESSAGE_CHARACTERS = 4000


class Runner:
    """One implementation under one set of settings, and the inputs it is called with. Each public method is a command."""

    def __init__(self) -> None:
        self._inputs: dict[int, Inputs] = {}
        self._input_digests: dict[int, str] = {}
        self._context: contextlib.AbstractContextManager[Run] | None = None
        self._kept: tuple[int, dict[str, np.ndarray]] | None = None
        self._held: tuple[dict[str, np.ndarray], str] | None = None
        self._after_block: tuple[int, int] | None = None
        self._random = random.Random()
        self._fastest: dict[int, int] = {}

    def prepare(self, *, inputs: dict[str, Inputs], seed: int) -> dict[str, Any]:
        """Take the inputs of a case, by seed; `seed` draws the order of calls."""
        self._random.seed(seed)
        self._inputs = {int(number): values for number, values in inputs.items()}
        self._input_digests = {number: returned.digest(values) for number, values in self._inputs.items()}
        return {}

    @memory.first_to_end()
    def load(
        self,
        *,
        implementation: str,
        settings: dict[str, Any],
        affinity: list[int] | None = None,
        memory_limit: int | None = None,
        slowdown: Mapping[str, tuple[float, float]] | None = None,
    ) -> dict[str, Any]:
        """Import the implementation and enter its load(), timed together. `files`: all that was loaded of its package.

        slowdown: what is added to what is measured from here on, to the time of "load", "cold", "block" and "calls", to the slowest
        of the calls ("tail") and to blocks that laps divide ("whole") in place of that, to the peak of "bytes": a share of its own
        cost, and an amount in seconds or bytes.
        """
        if affinity:
            _pin(affinity)
        if memory_limit is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
        gc.collect()
        base = memory.rss()
        shares = slowdown or {}
        watch = clock.stopwatch("wall", shares.get("load"))
        children = cputime.children_ns()
        watch.start()
        found: Implementation = origin.attribute(implementation)
        self._context = found.load(Settings(**settings))
        given = self._context.__enter__()
        wall, cpu = watch.elapsed()
        cpu += cputime.children_ns() - children
        self._run = given.run if isinstance(given, Loaded) else given
        if not callable(self._run):
            raise TypeError(f"load() must give a function run(inputs), found {type(self._run).__name__}")
        self._implementation = found
        self._weight_bytes = given.weight_bytes if isinstance(given, Loaded) else None
        self._unused = origin.unused([found.requires.native] if found.requires.native else [])  # before its hash is asked for
        self._watch = clock.stopwatch(found.clock, shares.get("block"), whole=shares.get("whole"))
        self._cold_watch = clock.stopwatch(found.clock, shares.get("cold"))
        # Latencies are judged on the wall clock, whatever the clock of the implementation.
        latency = "wall" if found.clock == "cpu" else found.clock
        self._calls_watch = clock.stopwatch(latency, shares.get("calls"), shares.get("tail"))
        self._added_bytes = shares.get("bytes", (0.0, 0.0))
        # The frameworks' own objects stay: a full collection of them in the middle of a block is not the implementation's cost.
        gc.collect()
        gc.freeze()
        return {
            "wall_ns": wall,
            "cpu_ns": cpu,
            "base_bytes": base,
            "loaded_bytes": memory.rss(),
            "file": getattr(sys.modules.get(implementation.partition(":")[0]), "__file__", None) or "",
            "native": origin.native_hash(found.requires.native) if found.requires.native else "",
            "files": origin.files(implementation.partition(".")[0].partition(":")[0]),  # last: with the kernel that the line above asked
        }

    @memory.first_to_end()
    def cold(self, *, seed: int) -> dict[str, Any]:
        """The first call of this process, with the caches swept and the peak of memory started anew."""
        swept = np.ones(SWEEP_BYTES, np.uint8)
        del swept
        unreset = memory.reset_peak_rss()
        memory.reset_device_peak()
        answer, outputs = self._timed(seed, self._cold_watch)
        share, more = self._added_bytes
        if share or more:
            memory.raise_peak(share, round(more))
            memory.raise_device_peak(share, round(more))
        answer |= {"peak_bytes": memory.peak_rss(), "peak_since_start": unreset, "device_peak": memory.device_peak()}
        joined, found = self._joined(outputs), self._implementation.requires
        self._held = joined, returned.digest(joined)
        said = self._weight_bytes() if callable(self._weight_bytes) else self._weight_bytes
        answer["weight_bytes"] = None if said is None else int(said)
        answer["unused"] = [*self._unused, *origin.unused(found.packages)]
        return {**answer, "outputs": joined, "mutated": self._mutated([seed])}

    def outputs(self, *, seeds: list[int]) -> dict[str, Any]:
        """One call per seed. All outputs are held until the last call has returned: a buffer that is written again shows."""
        timed = [self._timed(seed) for seed in seeds]
        joined = [self._joined(outputs) for _, outputs in timed]
        return {"wall_ns": [answer["wall_ns"] for answer, _ in timed], "outputs": joined, "mutated": self._mutated(seeds)}

    def settle(self, *, seconds: float) -> dict[str, Any]:
        """Calls until one takes about as long as the fastest on its inputs so far, or for `seconds`; how many."""
        calls, started = 0, perf_counter_ns()
        while perf_counter_ns() - started < seconds * 1e9:
            seed = self._random.choice(list(self._inputs))
            begun = perf_counter_ns()
            returned.real(self._run(self._inputs[seed]))
            took, fastest = perf_counter_ns() - begun, self._fastest.get(seed)
            self._fastest[seed] = min(took, fastest or took)
            calls += 1
            if fastest is not None and took <= SETTLED * fastest:
                break
        return {"calls": calls}

    def block(self, *, calls: int, draw: int | None = None, laps: int = 0) -> dict[str, Any]:
        """Consecutive calls timed together, on inputs in random order; one of the outputs is kept. Chunks of a lone call are stamped.

        draw: what the order is drawn from: workers that are given the same make the same calls. laps: into so many parts, of equally
        many calls each, stamps on the wall clock divide the block (not on the clocks of devices).
        """
        if draw is not None:
            self._random.seed(draw)
        order = self._random.choices(list(self._inputs), k=calls)
        # Half of the time the last output is kept (is it finished when run returns?), else any (does a later call change it?).
        keep = self._random.choice((calls, self._random.randint(1, calls)))
        numbered = list(enumerate((self._inputs[seed] for seed in order), 1))
        each = -(-calls // laps) if laps and self._watch.clock in ("cpu", "wall") else calls
        parts = [numbered[start : start + each] for start in range(0, calls, each)]
        run, real, lap, kept, stamps, arrivals = self._run, returned.real, self._watch.lap_ns, None, list[int](), list[int]()
        watch = self._watch if calls == 1 else None
        self._kept = None
        children = cputime.children_ns()
        self._watch.start()
        for part in parts:
            for index, inputs in part:
                outputs = real(run(inputs), watch, arrivals)
                if index == keep:
                    kept = outputs
            stamps.append(lap())
        wall, cpu = self._watch.elapsed()
        self._after_block = (process_time_ns(), thread_time_ns())
        cpu += cputime.children_ns() - children
        chunks = [arrivals] if arrivals else []
        answer = {"wall_ns": wall, "cpu_ns": cpu, "chunks_ns": chunks, "chunk_rows": [returned.rows(kept) for _ in chunks]}
        after = self._keep(order[keep - 1], kept)
        return {**answer, "after_ns": after, "laps_ns": np.array(stamps[: calls // each], np.int64), "lap_calls": each}

    def calls(self, *, count: int, seconds: float) -> dict[str, Any]:
        """Up to `count` calls within `seconds`, one stamp per call, and per chunk where outputs come in chunks.

        `chunk_rows`: how long each chunk is, along the axis on which chunks are joined.
        """
        stamps, chunks, rows, spent, cpu = [], [], [], 0, cputime.total_ns()
        self._kept = None
        for _ in range(count):
            seed = self._random.choice(list(self._inputs))
            inputs, watch, run = self._inputs[seed], self._calls_watch, self._run
            arrivals: list[int] = []
            watch.start()
            outputs = returned.real(run(inputs), watch, arrivals)
            stamp = watch.elapsed().wall_ns
            stamps.append(stamp)
            if arrivals:
                chunks.append(arrivals)
                rows.append(returned.rows(outputs))
            spent += stamp
            if spent > seconds * 1e9:
                break
        self._after_block = (process_time_ns(), thread_time_ns())
        cpu = cputime.total_ns() - cpu
        after = self._keep(seed, outputs)
        return {"calls_ns": np.array(stamps, np.int64), "chunks_ns": chunks, "chunk_rows": rows, "cpu_ns": cpu, "after_ns": after}

    def first_chunks(self, *, count: int) -> dict[str, Any]:
        """So many calls that are left at their first chunk, one stamp each."""
        stamps, cpu = [], cputime.total_ns()
        for _ in range(count):
            inputs, watch = self._inputs[self._random.choice(list(self._inputs))], self._calls_watch
            watch.start()
            chunks = iter(self._run(inputs))
            returned.real(next(chunks))
            stamps.append(watch.elapsed().wall_ns)
            if isinstance(chunks, Generator):
                chunks.close()  # a cut call ends here, and not inside the next one's time
        return {"firsts_ns": stamps, "cpu_ns": cputime.total_ns() - cpu}

    def check(self, *, inputs: bool) -> dict[str, Any]:
        """The kept output's digest, the processor time other threads took since the block, the memory held, and whether the
        inputs, or the output of the first call, were changed."""
        assert self._kept is not None
        assert self._after_block is not None
        seed, outputs = self._kept
        answer = {"seed": seed, "digest": returned.digest(outputs), "mutated": self._mutated(list(self._inputs)) if inputs else ""}
        held, self._held = self._held, None
        rewritten = held is not None and returned.digest(held[0]) != held[1]
        process, thread = self._after_block
        hidden = (process_time_ns() - process) - (thread_time_ns() - thread)
        return {**answer, "hidden_cpu_ns": max(0, hidden), "rss_bytes": memory.rss(), "rewritten": rewritten}

    def kept(self) -> dict[str, Any]:
        """The kept output itself."""
        assert self._kept is not None
        return {"seed": self._kept[0], "outputs": self._kept[1]}

    def fresh(self, *, inputs: list[Inputs]) -> dict[str, Any]:
        """Calls on inputs never seen before, beside calls that repeat the one before: replayed results are much faster there."""
        known, unseen = [], []
        for number, values in enumerate(inputs):
            seed = self._random.choice([seed for seed in self._inputs if seed >= 0])
            self._timed(seed)
            known.append(self._timed(seed)[0])
            returned.digest(values)  # reads them, so that they are as warm as the known ones
            self._inputs[-1 - number] = values
            unseen.append(self._timed(-1 - number)[0])
        self._inputs = {seed: values for seed, values in self._inputs.items() if seed >= 0}
        return {
            "known_wall_ns": [one["wall_ns"] for one in known],
            "fresh_wall_ns": [one["wall_ns"] for one in unseen],
            "known_cpu_ns": [one["cpu_ns"] for one in known],
            "fresh_cpu_ns": [one["cpu_ns"] for one in unseen],
        }

    def run(self, *, inputs: dict[str, Any]) -> dict[str, Any]:
        """One call on the given inputs; an exception is part of the answer."""
        before = returned.digest(inputs)
        try:
            outputs = returned.joined(returned.real(self._run(inputs)))
        except Exception as error:
            return {"refused": f"{type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]}
        return {"outputs": returned.sendable(outputs), "mutated": "" if returned.digest(inputs) == before else "its inputs"}

    def borrowed(self, *, others: list[str]) -> dict[str, Any]:
        """Which of the other implementations (entry point values) a call really runs, or ""."""
        inputs = next(iter(self._inputs.values()))
        return {"borrowed": origin.borrowed(lambda: returned.real(self._run(inputs)), self._implementation, others)}

    def realtime(self, **request: Any) -> dict[str, Any]:
        """Play callbacks in real time: the harness's own controls, or an implementation's beside the empty one."""
        from harness.realtime import playing

        return playing.controls(**request) if "implementation" not in request else playing.beside_empty(**request)

    def state(self) -> dict[str, Any]:
        """What really runs here: versions, BLAS kernels, threads, affinity, device memory."""
        from harness.machine.state import blas

        affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        return {
            "python": sys.version.split()[0],
            "numpy": np.__version__,
            "pools": [dataclasses.asdict(pool) for pool in blas()],
            "threads": threading.active_count(),
            "affinity": affinity,
            "device_peak": memory.device_peak(),
        }

    def close(self) -> dict[str, Any]:
        """Leave the load() context."""
        context, self._context = self._context, None
        if context is not None:
            context.__exit__(None, None, None)
        return {}

    def _timed(self, seed: int, watch: clock.Stopwatch | None = None) -> tuple[dict[str, Any], Any]:
        watch, arrivals = watch or self._watch, list[int]()
        inputs, children = self._inputs[seed], cputime.children_ns()
        watch.start()
        outputs = returned.real(self._run(inputs), watch, arrivals)
        wall, cpu = watch.elapsed()
        return {"wall_ns": wall, "cpu_ns": cpu + cputime.children_ns() - children, "arrivals_ns": arrivals}, outputs

    def _joined(self, outputs: Any) -> dict[str, np.ndarray]:
        return returned.sendable(returned.joined(outputs))

    def _keep(self, seed: int, outputs: Any) -> int:
        """Copy an output at once: what is not in the array when run returns does not count. Nanoseconds that took."""
        started = perf_counter_ns()
        self._kept = seed, {name: np.array(value) for name, value in self._joined(outputs).items()}
        return perf_counter_ns() - started

    def _mutated(self, seeds: list[int]) -> str:
        changed = [seed for seed in seeds if returned.digest(self._inputs[seed]) != self._input_digests[seed]]
        return f"the inputs of seed {changed[0]}" if changed else ""


def _pin(affinity: list[int]) -> None:
    if not hasattr(os, "sched_setaffinity"):
        raise OSError(f"affinity {affinity}: this system cannot bind a process to CPUs; leave the setting out")
    try:
        os.sched_setaffinity(0, affinity)
    except OSError:
        raise ValueError(f"affinity: expected CPUs out of {sorted(os.sched_getaffinity(0))}, found {affinity}") from None

