"""How many threads of a process are at work at once, seen from outside, on a machine that may be busy (Linux)."""

from __future__ import annotations

import contextlib
import glob
from dataclasses import dataclass
from pathlib import Path

SECONDS, SHARE, LEAST_LOOKS = 0.15, 0.15, 10
WORK_NS = 500_000


@dataclass
class _Spell:
    """A time in which a thread ran or waited for a CPU, without a rest: its processor time at the beginning and when last seen."""

    begin: int
    last: int


class Onlooker:
    """Looks at a process many times.

    At work is who wants a CPU, has used one since its last rest and goes on to use it before the next. A thread that only
    has to wake up in order to wait for another may have to queue for long on a busy machine; it does not count.
    """

    def __init__(self) -> None:
        self._spells: dict[str, _Spell] = {}
        self._looks: list[list[tuple[_Spell, int]]] = []

    def look(self, pid: int) -> None:
        """Look once at all threads."""
        running = []
        for folder in glob.iglob(f"/proc/{pid}/task/*"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                used = int(Path(folder, "schedstat").read_text(encoding="ascii").split()[0])
                state = Path(folder, "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
                # A thread that appears between two looks began with nothing.
                spell = self._spells.setdefault(folder, _Spell(0 if self._looks else used, used))
                spell.last = used
                if state == "R":
                    running.append((spell, used))
                else:
                    self._spells[folder] = _Spell(used, used)
        self._looks.append(running)

    def at_work(self) -> list[int]:
        """For each look the number of threads that were at work."""
        return [sum(used - spell.begin > WORK_NS and spell.last - used > WORK_NS for spell, used in look) for look in self._looks]
