"""The machine's state: what changes from minute to minute. It is stored with each record and can only make a verdict inconclusive."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Above these a measurement is noisy. The first was seen on a busy two-core machine; the other two are what changes a ratio by about
# the width of a verdict's margin.
PRESSURE_PERCENT = 10.0
STEAL_PERCENT = 2.0
OTHERS_SHARE = 0.1

_CPU = "/sys/devices/system/cpu"


@dataclass(frozen=True)
class Counters:
    """Running totals, in seconds; two of them a while apart make a State of the time between.

    waited: time in which some task waited for a CPU. own: CPU time of this process and its descendants.
    """

    at: float
    waited: float | None
    busy: float | None
    stolen: float | None
    own: float
    throttles: int | None


@dataclass(frozen=True)
class State:
    """What may disturb a measurement. None: this system does not tell.

    pressure_percent: share of time in which some task waited for a CPU (over the last 10 s, or since the given counters).
    steal_percent: share of CPU time that the hypervisor gave to others. others_cpus: CPUs kept busy by processes that do
    not descend from this one. throttles: times the processor slowed down for heat since the counters, or since boot.
    boost: whether clocks above the base are allowed. governor: one name, or several joined where cores differ.
    """

    cpus: int
    load_1: float | None = None
    pressure_percent: float | None = None
    steal_percent: float | None = None
    others_cpus: float | None = None
    throttles: int | None = None
    throttled: bool = False
    governor: str | None = None
    boost: bool | None = None
    watched_seconds: float | None = None

    def busy_reason(self) -> str | None:
        """Why times measured now would be noisy, or None on a quiet machine."""
        reasons = []
        # Our own workers wait for each other too, when they start side by side: where it is known who was busy, that decides.
        if self.others_cpus is None and self.pressure_percent is not None and self.pressure_percent > PRESSURE_PERCENT:
            reasons.append(f"CPU pressure {self.pressure_percent:.0f} % (quiet: at most {PRESSURE_PERCENT:.0f} %)")
        if self.steal_percent is not None and self.steal_percent > STEAL_PERCENT:
            reasons.append(f"the hypervisor took {self.steal_percent:.1f} % of the CPU time (quiet: at most {STEAL_PERCENT:.0f} %)")
        if self.others_cpus is not None and self.others_cpus > OTHERS_SHARE * self.cpus:
            most = OTHERS_SHARE * self.cpus
            reasons.append(f"other processes kept {self.others_cpus:.3g} of {self.cpus} CPUs busy (quiet: at most {most:.3g})")
        if self.throttled:
            reasons.append("the processor slowed down for heat")
        return "; ".join(reasons) or None

    def describe(self) -> list[tuple[str, str]]:
        """(label, value) lines for people."""
        lines = [("state", self.busy_reason() or "quiet")]
        if self.pressure_percent is not None:
            lines.append(("CPU pressure", f"{self.pressure_percent:.1f} %"))
        if self.load_1 is not None:
            lines.append(("load", f"{self.load_1:.2f} over the last minute, {self.cpus} CPUs"))
        if self.governor:
            lines.append(("governor", self.governor))
        if self.boost is not None:
            lines.append(("boost", "on" if self.boost else "off"))
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The known fields, for a record."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Blas:
    """A BLAS or OpenMP library loaded in this process; `kernel` is the code path it chose, where it says so."""

    library: str
    threads: int
    version: str = ""
    kernel: str = ""


def blas() -> tuple[Blas, ...]:
    """The BLAS and OpenMP libraries that this process has loaded so far."""
    import threadpoolctl

    return tuple(
        Blas(str(info["internal_api"]), int(info["num_threads"]), str(info.get("version") or ""), str(info.get("architecture") or ""))
        for info in threadpoolctl.threadpool_info()
    )


def counters() -> Counters:
    """The totals now."""
    now = time.monotonic()
    if sys.platform == "linux":
        stat, pressure = cpu_times(_read("/proc/stat")), pressure_totals(_read("/proc/pressure/cpu"))
        tick = os.sysconf("SC_CLK_TCK")
        return Counters(
            at=now,
            waited=None if pressure is None else pressure[1],
            busy=None if stat is None else stat[0] / tick,
            stolen=None if stat is None else stat[1] / tick,
            own=tree_ticks(_processes(), os.getpid()) / tick,
            throttles=_throttles(),
        )
    import psutil

    used = psutil.cpu_times()
    me = psutil.Process()
    own = sum(sum(_cpu_seconds(process)) for process in (me, *me.children(recursive=True)))
    return Counters(now, None, float(used.user + used.system), None, own, None)


def state(since: Counters | None = None) -> State:
    """The state now; with `since`, of the time since then (at least some tenths of a second, or the shares mean little)."""
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    now = counters()
    elapsed = None if since is None else max(now.at - since.at, 1e-3)
    pressure = pressure_totals(_read("/proc/pressure/cpu"))
    quiet = State(
        cpus=cpus,
        load_1=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        pressure_percent=None if pressure is None else pressure[0],
        throttles=now.throttles,
        governor=_governor(),
        boost=boost(_read),
        watched_seconds=elapsed,
    )
    return quiet if since is None or elapsed is None else between(quiet, since, now, elapsed, os.cpu_count() or 1)


def between(quiet: State, first: Counters, last: Counters, elapsed: float, all_cpus: int) -> State:
    """`quiet` with the shares of the time between two counters, `elapsed` seconds apart on a machine of `all_cpus`."""
    busy, stolen = _difference(first.busy, last.busy), _difference(first.stolen, last.stolen)
    waited, throttles = _difference(first.waited, last.waited), _difference(first.throttles, last.throttles)
    return dataclasses.replace(
        quiet,
        pressure_percent=quiet.pressure_percent if waited is None else min(100.0, 100 * waited / elapsed),
        steal_percent=None if stolen is None else 100 * stolen / (elapsed * all_cpus),
        others_cpus=None if busy is None else max(0.0, busy - max(0.0, last.own - first.own)) / elapsed,
        throttles=None if throttles is None else int(throttles),
        throttled=bool(throttles),
    )


# Parsers: text in, numbers out.


def pressure_totals(text: str) -> tuple[float, float] | None:
    """(percent over the last 10 s, seconds since boot) in which some task waited, out of /proc/pressure/cpu."""
    found = re.search(r"^some avg10=([\d.]+) .*total=(\d+)", text, re.MULTILINE)
    return (float(found[1]), int(found[2]) / 1e6) if found else None


def cpu_times(text: str) -> tuple[int, int] | None:
    """(busy, stolen) ticks over all CPUs, out of /proc/stat; guest time is in user time already."""
    found = re.search(r"^cpu +(\d+(?: \d+){7})", text, re.MULTILINE)
    if not found:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, found[1].split())
    return user + nice + system + irq + softirq, steal


def tree_ticks(stats: Iterable[str], root: int) -> int:
    """CPU ticks of a process, its living descendants, and the children each has waited for, out of /proc/<pid>/stat texts."""
    parent: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for text in stats:
        # The name is in parentheses and may hold anything, also spaces and parentheses.
        head, _, tail = text.rpartition(")")
        fields = tail.split()
        if len(fields) < 15:
            continue
        pid = int(head.split("(", 1)[0])
        parent[pid], ticks[pid] = int(fields[1]), sum(map(int, fields[11:15]))
    return sum(count for pid, count in ticks.items() if _descends(pid, root, parent))


def boost(read: Callable[[str], str]) -> bool | None:
    """Whether clocks above the base are allowed, None where nothing says so."""
    if (text := read(f"{_CPU}/cpufreq/boost")) in ("0", "1"):
        return text == "1"
    if (text := read(f"{_CPU}/intel_pstate/no_turbo")) in ("0", "1"):
        return text == "0"
    return None


def _descends(pid: int, root: int, parent: dict[int, int]) -> bool:
    seen: set[int] = set()
    while pid != root:
        if pid in seen or pid not in parent:
            return False
        seen.add(pid)
        pid = parent[pid]
    return True


def _difference(first: float | None, last: float | None) -> float | None:
    return None if first is None or last is None else max(0.0, last - first)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _processes() -> Iterable[str]:
    return (_read(f"/proc/{entry}/stat") for entry in os.listdir("/proc") if entry.isdigit())


def _cpu_seconds(process: Any) -> tuple[float, float]:
    import psutil

    try:
        used = process.cpu_times()
    except psutil.Error:
        return 0.0, 0.0
    return used.user + getattr(used, "children_user", 0.0), used.system + getattr(used, "children_system", 0.0)


def _throttles() -> int | None:
    """Heat events since boot: core_throttle_count on x86; the Raspberry Pi's firmware keeps flags instead (bit 2 and 3: now)."""
    counts = [_read(str(path)) for path in Path(_CPU).glob("cpu[0-9]*/thermal_throttle/core_throttle_count")]
    if counts:
        return sum(int(count) for count in counts if count.isdigit())
    flags = _read("/sys/devices/platform/soc/soc:firmware/get_throttled")
    return int(bool(int(flags, 16) & 0b1100)) if re.fullmatch(r"[0-9a-fx]+", flags) else None


def _governor() -> str | None:
    found = {_read(str(path)) for path in Path(_CPU).glob("cpufreq/policy*/scaling_governor")} - {""}
    return "+".join(sorted(found)) or None
