"""Measuring: what a session sets out to do, and doing it; parity on adversarial inputs; settings that must show."""

from harness.measure.effects import Flip, flip_settings
from harness.measure.effort import DEFAULT, THOROUGH, Effort
from harness.measure.fuzz import Failure, Fuzzed, fuzz
from harness.measure.plan import LAUNCHES, audio_case, plan
from harness.measure.records import SEEDS
from harness.measure.resume import check_same, complete, origin
from harness.measure.session import Progress, run, seconds_for

__all__ = [
    "DEFAULT", "LAUNCHES", "SEEDS", "THOROUGH", "Effort", "Failure", "Flip", "Fuzzed", "Progress",
    "audio_case", "check_same", "complete", "flip_settings", "fuzz", "origin", "plan", "run", "seconds_for",
]  # fmt: skip
