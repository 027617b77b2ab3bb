"""What a report shows, before it has a format: groups of lines, notes, and what to do next. All text is clean already."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.metrics import SPEEDUP, Absent
from harness.record import LeftOut, Plan, Planned
from harness.report import text
from harness.stats import Interval
from harness.verdict import Answer, Row, State, Verdicts, exit_code

COLUMNS = (("row",), ("parity",), ("speed-up over",), ("RTF",), ("p50", "p99"), ("peak", "limit"), ("verdict", "targets"))

CHUNKS: Mapping[str, str] = {
    "first audio": "time_to_first_audio_seconds", "p95": "time_to_first_audio_p95_seconds", "cold": "time_to_first_audio_cold_seconds",
    "with load": "time_to_first_audio_with_load_seconds", "jitter": "chunk_jitter_seconds", "underruns": "underruns",
}  # fmt: skip
"""Metrics by the titles of their columns, in a table of their own: of most rows there are none."""

WORDS: Mapping[int, str] = {
    0: "pass", 1: "fail", 3: "inconclusive", 4: "invalid", 5: "nothing, or less than planned, was measured",
}  # fmt: skip

EXACT = ""
APPROXIMATE = "approximate: another contract on purpose, not to be ranked with the rows above"
OTHERS = "peers (*) whose result differs from the reference: for information"

MOST_PLACES = 6
"""Rows that a note names; of more the rest is counted."""


@dataclass(frozen=True)
class Line:
    """One row of the table: for each of COLUMNS the lines of its cell; where its output comes in chunks, a figure for each of CHUNKS."""

    cells: tuple[tuple[str, ...], ...]
    state: State
    role: str
    chunks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """The rows of one component and case that may be compared with each other; `kind` is the heading of a block of its own."""

    component: str
    case: str
    kind: str
    lines: tuple[Line, ...]

    @property
    def chunks(self) -> list[tuple[str, ...]]:
        """The rows whose output comes in chunks: name, and a figure for each of CHUNKS."""
        return [(*line.cells[0], *line.chunks) for line in self.lines if line.chunks]


@dataclass(frozen=True)
class Block:
    """The rows behind a Group."""

    component: str
    case: str
    kind: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Note:
    """One thing to know: about which row, and the command that shows it again (may be empty)."""

    state: State | None
    where: str
    message: str
    command: str = ""


def plan_lines(plan: Plan) -> list[str]:
    """The expected set in words: what is measured, what cannot be, what is left out and why."""
    lines = [f"session {text.clean(plan.session)} on {text.clean(plan.machine)}, profile {text.clean(plan.profile)}"]
    for component in dict.fromkeys(item.component for item in plan.planned):
        mine = [item for item in plan.planned if item.component == component]
        rows, cases = dict.fromkeys(item.row for item in mine), dict.fromkeys(item.case for item in mine)
        most = max(item.launches for item in mine)
        launches = "1 launch" if most == 1 else f"{most} launches"
        lines.append(text.clean(f"{component}: {', '.join(rows)}; on {', '.join(cases)}; {launches} each"))
    lines += _by_reason("unavailable", plan.unavailable)
    return lines + _by_reason("left out", plan.left_out)


def groups(verdicts: Verdicts) -> list[Group]:
    """The table: per component and case the exact rows fastest first, then approximate rows and differing peers in blocks of their own."""
    found = blocks(verdicts)
    differing = {(block.component, block.case, row.planned.row) for block in found if block.kind == OTHERS for row in block.rows}
    starred = {(b.component, b.case): {name for a, case, name in differing if (a, case) == (b.component, b.case)} for b in found}
    return [Group(b.component, b.case, b.kind, tuple(line(row, starred[b.component, b.case]) for row in b.rows)) for b in found]


def blocks(verdicts: Verdicts) -> list[Block]:
    """The rows of the table in its order."""
    rows: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in verdicts.rows:
        if row.of("parity"):  # a real-time proof compares no outputs, and has tables of its own
            kinds = rows.setdefault((row.planned.component, row.planned.case), {EXACT: [], APPROXIMATE: [], OTHERS: []})
            kinds[_kind(row)].append(row)
    return [
        Block(text.clean(component), text.clean(case), kind, tuple(sorted(mine, key=_rank)))
        for (component, case), kinds in rows.items()
        for kind, mine in kinds.items()
        if mine
    ]


def line(row: Row, starred: Collection[str] = ()) -> Line:
    """One row in cells; a speed-up over a starred base (its result differs) carries a star."""
    metrics = row.metrics
    cells = (
        (text.clean(name(row)),),
        _parity(row),
        _speedups(row, starred),
        (text.point("rtf", metrics.get("rtf")),),
        tuple(text.point(name, metrics.get(name)) for name in ("latency_p50_seconds", "latency_p99_seconds")),
        (text.point("peak_bytes", metrics.get("peak_bytes")), *_limit(row)),
        _verdict(row),
    )
    chunks = tuple(text.point(metric, metrics.get(metric)) for metric in CHUNKS.values())
    return Line(cells, row.state, row.planned.role, chunks if any(figure != text.NOTHING for figure in chunks) else ())


def notes(verdicts: Verdicts) -> list[Note]:
    """Why each row that is not green is not, session-wide problems first; then what was not judged at all."""
    found = [Note("invalid" if problem.state == "invalid" else "inconclusive", "session", text.sentence(problem.message))
             for problem in verdicts.problems]  # fmt: skip
    for row in verdicts.rows:
        where = text.clean(f"{row.planned.component}.{name(row)} on {row.planned.case}")
        for answer in _first_causes(row):
            said, command = told(row, answer)
            state = answer.state if answer in row.judged else None
            found.append(Note(state, where, f"{answer.question}: {said}" + ("" if state else " (a peer: for information)"), command))
        beside = [note for answer in row.answers if answer.state == "pass" for note in answer.notes]
        found += [Note(None, where, text.sentence(note)) for note in (*beside, *row.notes)]
    return sorted(_merged(found), key=_urgency) + [Note(None, "", text.sentence(note)) for note in verdicts.notes]


def told(row: Row, answer: Answer) -> tuple[str, str]:
    """What an answer says, with its notes, and the command that shows it again (empty where there is none)."""
    message, _, given = answer.message.partition("reproduce: ")
    said = "; ".join([message.rstrip("; "), *answer.notes])
    failed = answer.question in ("run", "parity") and answer.state == "fail"
    again = reproduce(row.planned, timed=answer.message.startswith("untrusted")) if failed else ""
    return text.sentence(said), text.sentence(given or again)


def reproduce(item: Planned, *, timed: bool = False) -> str:
    """The command that shows a failure of the row again. timed: only where calls are timed does it show (what is not trusted)."""
    case = "--input FILE" if item.case.startswith("input-") else f"--case {shlex.quote(item.case)}"
    settings = {name: value for name, value in item.settings.items() if name not in item.variant}
    given = "".join(f" --{name.replace('_', '-')} {_written(value)}" for name, value in sorted(settings.items()))
    only = "" if timed else " --only parity"
    return f"harness run {shlex.quote(f'{item.component}.{item.implementation}')}{only} {case}{given}"


def next_steps(verdicts: Verdicts, *, recorded: bool = False) -> list[str]:
    """What to do next: each says what happened, why it matters and the command. recorded: it is written into the history anyway."""
    answers = [(row, answer) for row in verdicts.rows for answer in row.judged]
    steps = []
    again = "`harness gate`" if any(a.question == "regression" for _, a in answers) else "`harness run`"
    said = [problem.message for problem in verdicts.problems] + [answer.message for _, answer in answers]
    again = "`harness run --record`" if any("run --record" in one or "has no results of it" in one for one in said) else again
    if exit_code(verdicts) == 5:
        more = " with a longer --budget" if any("the budget ended" in problem.message for problem in verdicts.problems) else ""
        how = again if "--record" in again else f"{again} again"
        steps.append(f"less than planned was measured, so this is not a pass: run {how}{more}")
    wrong = [told(row, a)[1] for row, a in answers if a.question == "parity" and a.state == "fail"]
    if wrong:
        steps.append(f"a result is wrong, so its times are withheld: see it again with `{wrong[0]}`")
    worse = [told(row, a)[1] for row, a in answers if a.question == "regression" and a.state == "fail"]
    if worse and worse[0]:
        steps.append(f"it became worse than base: see it again with `{worse[0]}`")
    slow = [row for row, a in answers if a.question == "target" and a.state == "fail"]
    if slow:
        name = text.clean(f"{slow[0].planned.component}.{slow[0].planned.implementation}")
        steps.append(f"a target is missed: see where the time goes with `harness explain {name}`")
    if any("the machine was busy" in a.message for _, a in answers):
        steps.append(f"the machine was busy and times on it say little: stop other work and run {again} again")
    elif any("the bound lies inside the interval" in a.message for _, a in answers):
        steps.append("a bound lies inside its interval, so it is not decided: `harness run --launches 6` narrows it, a quiet machine too")
    elif any(a.question == "regression" and a.state == "inconclusive" for _, a in answers):
        steps.append(f"it is not decided whether it became worse: run {again} again on a quieter machine, or with a longer --budget")
    timed = [row for row in verdicts.rows if row.planned.role == "optimized" and isinstance(row.metrics.get("seconds_per_call"), Interval)]
    shares = [row.metrics["limit_share"] for row in timed if "limit_share" in row.metrics]
    if shares and all(isinstance(share, Absent) and "machine --limits" in share.reason for share in shares):
        quiet = "`harness machine --limits` measures them once, while nothing else runs, then each row shows its share"
        steps.append(f"this machine's ceilings are unknown: {quiet}")
    if not steps and exit_code(verdicts) == 0:
        keep = "keep this as history with `harness run --record` on a clean commit, and draw it with `harness publish`"
        steps.append("draw the history with `harness publish`" if recorded else keep)
    return steps


def summary(verdicts: Verdicts) -> str:
    """The outcome in one line, with the exit code."""
    code, counts = exit_code(verdicts), dict.fromkeys(("pass", "fail", "inconclusive", "invalid", "no target"), 0)
    for row in verdicts.rows:
        if row.planned.role == "optimized":
            counts[row.state] += 1
    shown = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none"
    failed = [a.question for row in verdicts.rows for a in row.judged if a.state == "fail"]
    kinds = f" ({', '.join(dict.fromkeys('crash or bad output' if kind == 'run' else kind for kind in failed))})" if code == 1 else ""
    return f"{WORDS[code]}{kinds}: optimized rows: {shown}; exit code {code}"


def _written(value: object) -> str:
    """A setting as the command line takes it: 0+1 for a list, true for True."""
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else shlex.quote(str(value).lower())


def _by_reason(what: str, items: Iterable[LeftOut]) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for item in items:
        row = f"{item.component}.{item.implementation}" if item.implementation else item.component
        reasons.setdefault(item.reason, []).append(f"{row} on {item.case}" if item.case else row)
    return [text.sentence(f"{what}: {', '.join(names)}: {reason}") for reason, names in reasons.items()]


def name(row: Row) -> str:
    """The row, with the settings that tell it from its neighbours: `native (threads=2)`."""
    others = {name: value for name, value in row.planned.settings.items() if name not in row.planned.variant}
    shown = ", ".join(f"{name}={'+'.join(map(str, v)) if isinstance(v, list | tuple) else v}" for name, v in sorted(others.items()))
    return f"{row.planned.row} ({shown})" if shown else row.planned.row


def _kind(row: Row) -> str:
    if not row.planned.exact:
        return APPROXIMATE
    return OTHERS if row.planned.role == "peer" and any(answer.state == "fail" for answer in row.of("parity")) else EXACT


def _rank(row: Row) -> float:
    value = row.metrics.get("seconds_per_call")
    return value.point if isinstance(value, Interval) else float("inf")


def _parity(row: Row) -> tuple[str, ...]:
    state = row.of("parity")[0].state
    if not row.parity:
        return ("reference" if row.planned.role == "reference" and state == "pass" else "not checked",)
    kinds = ", ".join(dict.fromkeys(result.kind for result in row.parity))
    own = dict.fromkeys(name for result in row.parity for name in result.measured if result.kind in ("metric", "approximate"))
    names = [name for name in own if name not in ("max_abs_difference", "differing", "agreement")] or ["max_abs_difference"]
    values = [text.point(name, row.metrics.get(name)) + ("" if name == "max_abs_difference" else f" {name}") for name in names]
    shown = [text.clean(value) for value in values if value != text.NOTHING and (kinds, value) != ("identical", "0")]
    return (kinds if state == "pass" else "differs", *shown)


def speedups(row: Row) -> list[tuple[str, Interval]]:
    """What it is faster than, and by how much: the reference first. Two outside libraries are not compared with each other."""
    found = []
    for metric, value in sorted(row.metrics.items(), key=lambda item: (item[0] != f"{SPEEDUP}reference", item[0])):
        base = metric.removeprefix(SPEEDUP)
        if base != metric and isinstance(value, Interval) and (row.planned.role != "peer" or base == "reference"):
            found.append((base, value))
    return found


def _speedups(row: Row, starred: Collection[str]) -> tuple[str, ...]:
    found = [text.clean(f"{text.times(value)} {base}{'*' if base in starred else ''}") for base, value in speedups(row)]
    withheld = any(isinstance(value, Absent) and value.reason.startswith("withheld") for value in row.metrics.values())
    return tuple(found) or (("times withheld",) if withheld else (text.NOTHING,))


def _limit(row: Row) -> tuple[str, ...]:
    value = row.metrics.get("limit_share")
    return (text.point("limit_share", value),) if isinstance(value, Interval) else ()


def _verdict(row: Row) -> tuple[str, ...]:
    if row.planned.role != "optimized" and not any(a.state != "no target" for a in row.of("target")):
        return ("missing" if row.missing else row.planned.role, *(("crashed",) if row.of("run")[0].state == "fail" else ()))
    if row.missing:
        return ("missing",)
    targets = [answer for answer in row.of("target") if answer.state != "no target"]
    met = sum(answer.state == "pass" for answer in targets)
    causes = dict.fromkeys(answer.question for answer in row.answers if answer.state == row.state)
    why = {"run": "did not run", "parity": "parity", "target": "target", "regression": "regression"}
    first = row.state if row.state in ("pass", "no target") else f"{row.state}: {', '.join(why[c] for c in causes)}"
    return (first, f"{met} of {len(targets)} targets") if targets else (first,)


def _first_causes(row: Row) -> list[Answer]:
    """Answers that are not green; what follows from a failed run or from wrong results is not repeated."""
    bad = [answer for answer in row.answers if answer.state not in ("pass", "no target")]
    runs = [answer for answer in bad if answer.question == "run"]
    if runs:
        return runs
    parity = any(answer.question == "parity" for answer in bad)
    return [answer for answer in bad if not (parity and "parity did not pass" in answer.message)]


def _merged(notes: Iterable[Note]) -> list[Note]:
    """One note where several rows have the same to say (a busy machine says it of all)."""
    places: dict[tuple[State | None, str, str], list[str]] = {}
    for note in notes:
        places.setdefault((note.state, note.message, note.command), []).append(note.where)
    return [Note(state, _listed(where), message, command) for (state, message, command), where in places.items()]


def _listed(places: Sequence[str]) -> str:
    """The first of many are enough: the table shows all rows, and the JSON report what is said of each."""
    return ", ".join(places if len(places) <= MOST_PLACES else [*places[:MOST_PLACES], f"and {len(places) - MOST_PLACES} more"])


def _urgency(note: Note) -> int:
    return ("invalid", "fail", "inconclusive", None).index(note.state) if note.state != "no target" else 3
