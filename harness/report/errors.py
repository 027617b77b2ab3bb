"""How often the gate and its peers are wrong: a table for the terminal and for the documentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.gate.quality import Quality
from harness.gate.tally import Rate, Verdict
from harness.report.markdown import code, escape

COLUMNS = (
    "tool", "kernel", "neighbour", "slower by", "read", "n", "fail", "pass", "inconclusive", "invalid, error", "others fail, undecided",
    "s", "CPU s",
)  # fmt: skip

TOGETHER = ("tool", "neighbour", "slower by", "n", "fail", "pass", "inconclusive", "invalid, error", "others fail, undecided")

HOW = """\
Each verdict compares a kernel with a build of itself that is slower by the share in the table; 0 % is equal code, built twice. *fail*,
*pass* and *inconclusive* are percent of the `n` verdicts on the time of a call, with the exact 95 % binomial interval (Clopper and
Pearson). *read*: the median slow-down that the tool itself read. *others*: verdicts in which another metric of the gate that is equal on
both sides (memory and load time; on equal code also latency) failed, or was left undecided. *s*, *CPU s*: the median time of a
verdict, all of its processes included. *busy*: beside a process that keeps one CPU busy and may run on any. All cells grow together: N
verdicts on equal code, a third of N on each slow-down, and of each peer a third of N, 20 at most.

The peers take turns with the gate: right after one of its verdicts, on the same builds. Each samples for as long as that verdict took
in all; its own start comes on top. asv: `asv continuous -a repeat=1,100000,T`, T a quarter for each of its 2 x 2 processes.
pytest-benchmark: base, then head, each with `--benchmark-max-time` of a half and ten calls to warm up. One run gives both rows of a tool:
the exit code, and the function behind it for the other threshold. They have no third answer: what is not *fail* is *pass*."""

SLOWDOWNS = """\
The slow-downs are calibrated on the processor clock, which the gate judges this kernel by, then measured anew: in one process the kernel
takes turns with itself slowed down; the median over many rounds, the mean over fresh processes, with its 95 % interval."""


def render(quality: Quality, console: Console) -> None:
    """Print the table, and what is missing in it."""
    for title, columns, rows in (
        (None, COLUMNS, map(_row, quality.rates)),
        ("all kernels together", TOGETHER, map(_together, quality.together)),
    ):
        table = Table(*columns, box=None, padding=(0, 1), title=title, title_justify="left")
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)
    for line in [*(f"{case}: {rest}" for case, rest in _slowdowns(quality)), *_remarks(quality)]:
        console.print(Text(line))


def markdown(quality: Quality, machine: Sequence[tuple[str, str]], command: str) -> str:
    """The table as a page. machine: labels and values that describe it. command: what wrote it."""
    about = [*machine, *_provenance(quality.verdicts)]
    parts = [
        "# How often the gate is wrong",
        f"Written by {code(command)}.",
        "\n".join(f"- {escape(label)}: {escape(value)}" for label, value in about),
        "All kernels together:",
        _table(TOGETHER, [tuple(map(escape, _together(rate))) for rate in quality.together]),
        HOW,
        _table(COLUMNS, [tuple(map(escape, _row(rate))) for rate in quality.rates]),
        SLOWDOWNS,
        _table(("kernel", "slow-downs, as measured"), [(escape(case), escape(rest)) for case, rest in _slowdowns(quality)]),
        *map(escape, _remarks(quality)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _together(rate: Rate) -> tuple[str, ...]:
    return rate.tool, *_condition(rate), *_counts(rate)


def _row(rate: Rate) -> tuple[str, ...]:
    return (
        rate.tool,
        rate.case,
        *_condition(rate),
        "" if rate.found is None else f"{100 * rate.found:.1f}",
        *_counts(rate),
        f"{rate.median_seconds:.1f}",
        "" if rate.median_cpu_seconds is None else f"{rate.median_cpu_seconds:.1f}",
    )


def _condition(rate: Rate) -> tuple[str, str]:
    return "busy" if rate.busy else "idle", f"{rate.slower:.0%}"


def _counts(rate: Rate) -> tuple[str, ...]:
    return (
        str(rate.n),
        *(_share(*rate.states[state]) for state in ("fail", "pass", "inconclusive")),
        ", ".join(str(round(rate.n * rate.states[state][0])) for state in ("invalid", "error")),
        f"{rate.false_alarms}, {rate.others.get('inconclusive', 0) + rate.others.get('invalid', 0)}",
    )


def _share(point: float, low: float, high: float) -> str:
    # Whole numbers for none and all only: one of 900 is not none.
    return f"{100 * point:.{1 if 0 < point < 1 else 0}f} [{100 * low:.1f}, {100 * high:.1f}]"


def _slowdowns(quality: Quality) -> list[tuple[str, str]]:
    cases: dict[str, list[str]] = {}
    for one in quality.specimens:
        interval = f"{100 * one.share:.2f} [{100 * one.low:.2f}, {100 * one.high:.2f}] % over {one.launches} launches"
        cases.setdefault(one.case, []).append(f"{one.slower:.0%} is {interval}")
    return [(case, "; ".join(parts)) for case, parts in cases.items()]


def _remarks(quality: Quality) -> list[str]:
    found = []
    shares = sorted(one.neighbour for one in quality.verdicts if one.neighbour is not None)
    if shares:
        found.append(f"The busy process used {shares[len(shares) // 2]:.2f} CPUs (median), {shares[0]:.2f} at least.")
    if quality.owed:
        found.append(f"Not complete: {quality.owed} more runs are owed; the same command goes on.")
    if quality.older:
        found.append(f"{quality.older} verdicts are of other versions of the gate, and are not counted.")
    return found


def _provenance(verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    if not verdicts:
        return []
    first, last = (pick(one.when for one in verdicts)[:16].replace("T", " ") for pick in (min, max))
    versions = sorted({f"{name} {version}" for one in verdicts for name, version in one.versions.items()})
    machines = Counter(one.machine for one in verdicts)
    return [
        ("verdicts", ", ".join(f"{count} by {name}" for name, count in machines.most_common())),
        ("measured", f"{first} to {last} UTC"),
        ("commit", ", ".join(sorted({one.commit for one in verdicts}))),
        ("versions", ", ".join(versions)),
    ]


def _table(columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
