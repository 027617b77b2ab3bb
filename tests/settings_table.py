"""Which setting shows on which component, and in what: docs/settings.md, written from the registry by `python tests/settings_table.py`."""

from __future__ import annotations

from pathlib import Path

from harness.component import Effect
from harness.lightweight import DEFAULTS, VARIABLES
from harness.measure.effects import has_value
from harness.registry import Registry, discover
from harness.settings import NAMES, show

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"

NOWHERE = "nothing yet"

SHOWS = {
    "output": "another result",
    "produced": "other units of work",
    "bytes": "memory",
    "processes": "threads or processes at work",
    "error": "the second value is refused",
    "time": "time of a call",
}


def ours(registry: Registry) -> list[str]:
    """The components of this distribution, by name."""
    return sorted(entry.name for entry in registry.entries if entry.group == "harness.components" and "implementations." in entry.value)


def page(registry: Registry) -> str:
    """The page of the documentation."""
    components = [registry.components[name] for name in ours(registry)]
    lines = [
        "# Settings: where each one shows",
        "",
        "`harness run --only settings` turns each setting below between the two values, on that case, for every implementation that",
        "honours it, and fails where nothing of what is stated changes. This page is written from the registry by",
        "`python tests/settings_table.py`.",
        "",
        "| setting | component | case | from | to | must show in | honoured by |",
        "|---|---|---|---|---|---|---|",
    ]
    alike: dict[tuple[Effect, str], list[str]] = {}
    for component in components:
        for effect in component.effects:
            found = registry.implementations(component.name).values()
            honoured = ", ".join(item.name for item in found if effect.setting in item.settings and has_value(item, effect))
            alike.setdefault((effect, honoured), []).append(component.name)
    for (effect, honoured), names in sorted(alike.items(), key=lambda item: NAMES.index(item[0][0].setting)):
        first, second = map(show, effect.values)
        cells = (effect.setting, ", ".join(names), effect.case, first, second, SHOWS[effect.shows], honoured)
        lines.append(f"| {' | '.join(cells)} |")
    without = [component.name for component in components if not component.effects]
    lines += ["", f"Without settings to turn: {', '.join(without)}."] if without else []
    lines += ["", "## The source document's variables", ""]
    lines += ["| variable | setting | full | lightweight | shows on |", "|---|---|---|---|---|"]
    for variable, setting in VARIABLES.items():
        values = [show(getattr(DEFAULTS[mode], setting)) if setting != "mode" else mode for mode in ("full", "lightweight")]
        on = [component.name for component in components if any(effect.setting == setting for effect in component.effects)]
        on += [f"{name} (`--only realtime`)" for name in _realtime(registry)] if setting == "audio_buffer" else []
        lines.append(f"| {variable} | {setting} | {values[0]} | {values[1]} | {', '.join(on) or NOWHERE} |")
    return "\n".join([*lines, "", ORIGINS, SIZES])


def _realtime(registry: Registry) -> list[str]:
    return [name for name in ours(registry) if any(item.realtime for item in registry.implementations(name).values())]


ORIGINS = """## Where a value comes from

The profile, then the document's variable, then `HARNESS_<NAME>`, then the command line: the later one counts. `harness machine` prints each
with its origin, and below them the document's block of configuration, which every command also logs (logger `harness.context`).

```sh
MODEL_SIZE=small HARNESS_MODEL_SIZE=medium harness machine --model-size large  # large, from command line
LIGHTWEIGHT_MODE=auto harness machine                                          # what auto means here, and why
LIGHTWEIGHT_MODE=auto LIGHTWEIGHT_DETECT=architecture harness machine          # the document's rule: ARM is lightweight
MODEL_PRECISION=int4 harness machine                                           # refused: which variable, what was expected
MAX_AUDIO_DURATION=5 harness run features.native --only parity --case clip-10s # refused by the row: at most 5 s
```

LIGHTWEIGHT_MODE takes true, 1, yes, false, 0, no and auto. Nothing is detected where it is unset, since what is asked for is measured: then
the mode is full (the container's default is `auto`). `auto` is lightweight where there are at most 4 GB of memory, or at most 4 cores with
vectors of 128 bits. A value that is set for all of a run turns only the rows that honour it. The defaults in the table are those of the
document's block; no row takes one of them by itself but what `mode=lightweight` says ([what it costs and brings](lightweight.md)).
"""

SIZES = """## What `model_size` means

| component | small | medium | large | without |
|---|---|---|---|---|
| the five small models, `model_pipeline` | students with less than an eighth of the weights | the documented structures, half of the \
weights at zero, fine-tuned: half the bytes to ship, as fast | the documented structures as trained | large |
| `generator` | half of the layers; of the flavour `small` the trained `draft`, with an eighth of the weights | the flavour of the case | \
twice the layers, seeded weights | medium |
| `tts` | FastSpeech2 with 1.5 M weights, HiFi-GAN V3 | FastSpeech2 for LJSpeech, HiFi-GAN V2 | the same, HiFi-GAN V1 | the case's voice |

Every row is compared with the reference of its size. A checkpoint of your own has the size that it has. `features` and `song_queue` have
no weights: their smaller flavour is `mode=lightweight`. The others compute one thing, at one size.
"""


if __name__ == "__main__":
    PAGE.write_text(page(discover()), encoding="utf-8")
