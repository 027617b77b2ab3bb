"""Measuring: what a session sets out to do, and doing it; parity on adversarial inputs; settings that must show."""

from harness.measure.effects import Flip, flip_settings
from harness.measure.effort import DEFAULT, THOROUGH, Effort
from harness.measure.fuzz import Failure, Fuzzed, fuzz
from harness.measure.plan import LAUNCHES, plan
from harness.measure.records import SEEDS
from harness.measure.session import SESSION_SECONDS, Progress, run

__all__ = [
    "DEFAULT", "LAUNCHES", "SEEDS", "SESSION_SECONDS", "THOROUGH",
    "Effort", "Failure", "Flip", "Fuzzed", "Progress", "flip_settings", "fuzz", "plan", "run",
]  # fmt: skip
