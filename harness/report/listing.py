"""What `harness list` prints: components, their implementations, and why any of them cannot be used."""

from __future__ import annotations

from collections.abc import Mapping

from harness.component import Implementation
from harness.registry import Registry
from harness.report.text import clean
from harness.settings import label


def render(
    registry: Registry, selection: Mapping[str, tuple[Implementation, ...]], reasons: Mapping[str, str | None], *, cases: bool
) -> str:
    """Plain text. reasons: unavailability by `component.implementation`, None where available."""
    lines = []
    for component, chosen in selection.items():
        about = registry.components[component]
        lines.append(f"{component}  {clean(about.description.partition(';')[0])}".rstrip())
        width = max(len(label(item.name, v)) for item in chosen for v in _rows(item))
        for item in chosen:
            reason = reasons[f"{component}.{item.name}"]
            for variant in _rows(item):
                status = "available" if reason is None else f"unavailable  {clean(reason)}"
                lines.append(f"  {label(item.name, variant):<{width}}  {item.role:<9}  {status}")
        if cases:
            lines += [f"  {clean(part.strip())}" for part in about.description.split(";")[1:]]
            for case in about.cases:
                note = "quick" if case.quick else f"only with --thorough: {clean(case.thorough)}" if case.thorough else ""
                lines.append(f"  case {case.name}  {note}".rstrip())
        lines.append("")
    for entry in registry.entries:
        lines += [f"note: {entry.name} ({clean(entry.distribution)}) {clean(note)}" for note in entry.notes]
    for entry in registry.broken:
        lines.append(f"broken: {clean(entry.name)} ({clean(entry.distribution or entry.value)}): {clean(entry.error)}")
    return "\n".join(lines).rstrip() + "\n"


def _rows(item: Implementation) -> list[Mapping[str, object]]:
    return [*([{}] if item.plain else []), *(variant.settings for variant in item.variants)]
