"""The source document's configuration: six environment variables, the lightweight mode and when `auto` means it, the block it logs.

Each variable is a setting under another name, below HARNESS_<NAME> and above the profile. `auto` is decided by what the machine has; the
document decides by the name of its architecture, which takes a workstation for a single-board computer: LIGHTWEIGHT_DETECT=architecture
gives that rule, to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.machine import Machine
from harness.settings import ConfigurationError, Settings, parse, show

VARIABLES = {
    "LIGHTWEIGHT_MODE": "mode",
    "MODEL_SIZE": "model_size",
    "MODEL_PRECISION": "precision",
    "AUDIO_BUFFER_SIZE": "audio_buffer",
    "WORKER_CONCURRENCY": "workers",
    "MAX_AUDIO_DURATION": "longest_audio",
}
"""The document's variable -> the setting it is."""

DEFAULTS = {
    "full": Settings(model_size="medium", precision="float32", audio_buffer=8192, workers=2, longest_audio=300.0),
    "lightweight": Settings(model_size="small", precision="int8", audio_buffer=2048, workers=1, longest_audio=60.0),
}
"""What the document means where nothing is set; shown in its block. An implementation's own defaults are not touched by it."""

DETECT = "LIGHTWEIGHT_DETECT"
SMALL_GIB, SMALL_CORES = 4, 4
_MODES = {"true": "lightweight", "1": "lightweight", "yes": "lightweight", "false": "full", "0": "full", "no": "full", "auto": "auto"}
_WIDE = ("avx2", "sve")


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Settings from the document's variables; ConfigurationError names the variable. An empty one counts as unset."""
    found: dict[str, Any] = {}
    for variable, name in VARIABLES.items():
        text = environ.get(variable, "").strip()
        if not text:
            continue
        if name == "mode":
            if text.lower() not in _MODES:
                raise ConfigurationError(f"environment variable {variable}: expected {', '.join(_MODES)}, found {text!r}")
            found[name] = _MODES[text.lower()]
            continue
        try:
            found[name] = parse(name, text)
        except ConfigurationError as error:
            raise ConfigurationError(f"environment variable {variable}: {error}") from None
    return Settings(**found)


def detected(machine: Machine, environ: Mapping[str, str]) -> tuple[str, str]:
    """What `auto` means on this machine, "full" or "lightweight", and why.

    Small is at most 4 GB of memory, or at most 4 cores whose vectors have no more than 128 bits.
    """
    rule = environ.get(DETECT, "").strip().lower() or "machine"
    if rule not in ("machine", "architecture"):
        raise ConfigurationError(f"environment variable {DETECT}: expected machine or architecture, found {environ[DETECT]!r}")
    if rule == "architecture":
        return ("lightweight" if is_arm(machine) else "full"), f"architecture {machine.architecture}"
    if machine.memory_gib <= SMALL_GIB:
        return "lightweight", f"{machine.memory_gib:g} GiB of memory, at most {SMALL_GIB}"
    narrow = machine.vendor != "apple" and not any(name in machine.instruction_sets for name in _WIDE)
    if narrow and machine.logical_cores <= SMALL_CORES:
        return "lightweight", f"{machine.logical_cores} cores with vectors of 128 bits, at most {SMALL_CORES}"
    return "full", f"{machine.memory_gib:g} GiB of memory, {machine.logical_cores} cores"


def decided(settings: Settings, machine: Machine, environ: Mapping[str, str]) -> tuple[Settings, str]:
    """The settings with `auto` replaced by what it means here, and why; "" where the mode is not `auto`."""
    if settings.mode != "auto":
        return settings, ""
    mode, why = detected(machine, environ)
    return settings.merged({"mode": mode}), f"auto: {why}"


def block(settings: Settings, machine: Machine) -> tuple[str, ...]:
    """The document's log block: eight lines between rules."""
    lightweight = settings.mode == "lightweight"
    shown = DEFAULTS["lightweight" if lightweight else "full"].merged(settings)
    rule = "=" * 60
    return (
        rule,
        "Grammy Engine Configuration",
        rule,
        f"Architecture: {_name(machine)}",
        f"ARM Architecture: {is_arm(machine)}",
        f"Lightweight Mode: {lightweight}",
        f"Model Size: {shown.model_size}",
        f"Model Precision: {shown.precision}",
        f"Audio Buffer Size: {shown.audio_buffer}",
        f"Worker Concurrency: {shown.workers}",
        f"Max Audio Duration: {show(int(shown.longest_audio or 0))}s",
        rule,
    )


def is_arm(machine: Machine) -> bool:
    """The document's test: "arm" or "aarch64" in the architecture's name."""
    return any(part in machine.architecture for part in ("arm", "aarch64"))


def _name(machine: Machine) -> str:
    """The architecture as the system names it: arm64 is aarch64 but for Apple's."""
    return "aarch64" if machine.architecture == "arm64" and machine.system != "Darwin" else machine.architecture
