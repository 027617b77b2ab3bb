"""An explanation for people: a short text, flame graphs, and files for speedscope and Perfetto."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.files import write_atomically
from harness.metrics import Absent
from harness.profiling import Change, Explanation, Part, Profile, changes, flame, ranked, speedscope
from harness.report.text import clean, seconds, sentence, significant, size

MOST_LINES = 8
LEAST_SHARE = 0.01
"""Of the time; what is below it is not listed."""


def render(found: Explanation, console: Console) -> None:
    """Print the text."""
    for line in lines(found):
        console.print(Text(line, style="" if line.startswith(" ") else "bold"))


def lines(found: Explanation) -> list[str]:
    """What takes the time, what changed, which operators, what holds memory; headings, and lines that begin with spaces."""
    made = [_headline(found), *_time(found)]
    if found.before is not None:
        made += _changed(found.before, found.calls, found.unit)
    if not isinstance(found.operators, Absent):
        made += _operators(found)
    made += _memory(found)
    return [*made, *(f"  note: {sentence(text)}" for text in found.notes)]


def summary(found: Explanation) -> str:
    """One sentence: the function that changed most, or the one that takes most where nothing can be compared."""
    parts = ranked(found.calls)
    most = f"most of the time is in {_part(parts[0])}"
    if found.before is None:
        return most
    more = found.calls.total - found.before.total
    known = [change for change in changes(found.before, found.calls) if change.known and (change.more > 0) == (more > 0)]
    whole = f"{_signed(more)} per {clean(found.unit)}"
    if not known:
        return f"{whole}; no function changed by more than {found.calls.samples} samples can tell; {most}"
    return f"{whole}, of it {_signed(known[0].more)} in {_change(known[0])}"


def memory_summary(found: Explanation) -> str:
    """One sentence: the function that holds more memory than before, or most of it."""
    if isinstance(found.memory, Absent):
        return sentence(found.memory.reason)
    if isinstance(found.memory_before, Profile):
        more = [change for change in changes(found.memory_before, found.memory) if change.more > 0]
        if more:
            how = f"{size(more[0].before)} before" if more[0].before else "new"
            return clean(f"+{size(more[0].more)} held by {more[0].function.words}, {how}")
    parts = ranked(found.memory)
    return f"most memory is held by {_part(parts[0])}" if parts else "neither load() nor a call holds memory that memray sees"


def write(found: Explanation, folder: Path) -> list[Path]:
    """Write the text, the graphs and the traces into a folder; their paths."""
    unit = clean(found.unit)

    def time(value: float) -> str:
        return f"{significant(value)} ms"

    about = f"milliseconds per {unit}; {found.calls.samples} samples of {found.calls.name}"
    texts = {
        "explanation.txt": "".join(f"{line}\n" for line in lines(found)),
        "flame.svg": flame.graph(found.calls.weights, title=f"{found.title}: time", about=about, show=time),
        "profile.speedscope.json": speedscope.document(found.title, _profiles(found.before, found.calls), unit="milliseconds"),
    }
    if found.before is not None:
        title = f"{found.title}: {found.calls.name} against {found.before.name}"
        colors = "red takes more than before, blue less"
        texts["difference.svg"] = flame.difference(
            found.before.weights, found.calls.weights, title=title, about=f"{about}; {colors}", show=time
        )
    if isinstance(found.memory, Profile) and found.memory.weights:
        before = found.memory_before if isinstance(found.memory_before, Profile) else None
        held = f"what load() and a call hold at their peak: {size(found.memory.total)}"
        texts["memory.svg"] = flame.graph(found.memory.weights, title=f"{found.title}: memory", about=held, show=size)
        texts["memory.speedscope.json"] = speedscope.document(found.title, _profiles(before, found.memory), unit="bytes")
        if before is not None:
            title = f"{found.title}: memory of {found.calls.name} against {before.name}"
            texts["memory-difference.svg"] = flame.difference(
                before.weights, found.memory.weights, title=title, about=f"{held}; red is more than before, blue less", show=size
            )
    if found.trace:
        texts["torch-trace.json"] = found.trace
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts]


def _profiles(before: Profile | None, after: Profile) -> list[Profile]:
    return [after] if before is None else [after, before]


def _headline(found: Explanation) -> str:
    line = f"{found.title}: {_time_of(found.calls.total)} per {found.unit}"
    if found.before is not None and found.before.total:
        share = found.calls.total / found.before.total - 1
        line += f", {_time_of(found.before.total)} in {found.before.name}: {_signed(found.calls.total - found.before.total)}, {share:+.1%}"
    return clean(line)


def _time(found: Explanation) -> Iterator[str]:
    parts = ranked(found.calls)
    yield f"what takes the time ({found.calls.samples} samples of the calling thread)"
    shown = [part for part in parts if part.value >= LEAST_SHARE * found.calls.total][:MOST_LINES]
    for part in shown or parts[:1]:
        yield f"  {part.value / found.calls.total:6.1%}  {_time_of(part.value):>8}  {_part(part)}"


def _changed(before: Profile, after: Profile, unit: str) -> Iterator[str]:
    found = changes(before, after)
    known = [change for change in found if change.known]
    yield clean(f"what changed per {unit}, beyond what sampling brings about (95 %)")
    for change in known[:MOST_LINES]:
        yield f"  {_signed(change.more):>9} +-{_time_of(change.error)}  {_change(change)}"
    if not known:
        widest = max((change.error for change in found), default=0.0)
        yield f"  nothing: no function differs by more than the {_time_of(widest)} that the samples leave open"


def _operators(found: Explanation) -> Iterator[str]:
    assert not isinstance(found.operators, Absent)
    units = found.traced * found.units
    yield clean(f"torch operators, themselves, per {found.unit} (calls under torch.profiler: {found.traced})")
    for one in found.operators[:MOST_LINES]:
        device = f", device {_time_of(1e3 * one.device_seconds / units)}" if one.device_seconds else ""
        yield clean(f"  {_time_of(1e3 * one.cpu_seconds / units):>9}  {one.name}, {significant(one.count / found.traced)} a call{device}")


def _memory(found: Explanation) -> Iterator[str]:
    if isinstance(found.memory, Absent):
        yield f"  no memory profile: {sentence(found.memory.reason)}"
        return
    before = found.memory_before
    more = f", {size(before.total)} in {clean(before.name)}" if isinstance(before, Profile) else ""
    yield f"what holds memory at the peak of load() and a call: {size(found.memory.total)}{more}"
    for part in ranked(found.memory)[:MOST_LINES]:
        if part.value >= LEAST_SHARE * found.memory.total:
            yield f"  {part.value / found.memory.total:6.1%}  {size(part.value):>8}  {_part(part)}"


def _part(part: Part) -> str:
    where = part.function.words if not part.line else f"{part.function.name} ({part.function.file}:{part.line})"
    inner = f", in {part.inner.words}" if part.inner is not None else ""
    return clean(f"{where}{inner}{' (waits)' if part.waits else ''}")


def _change(change: Change) -> str:
    where = f"{change.function.name} ({change.function.file}:{change.line})" if change.line else change.function.words
    how = "new" if not change.before else "gone" if not change.after else f"{_time_of(change.before)} before"
    return clean(f"{where}{' (waits)' if change.waits else ''}, {how}")


def _time_of(milliseconds: float) -> str:
    return seconds(milliseconds / 1e3)


def _signed(milliseconds: float) -> str:
    return f"{'+' if milliseconds >= 0 else '-'}{_time_of(abs(milliseconds))}"
