"""Measuring: what a session sets out to do, and doing it."""

from harness.measure.plan import plan
from harness.measure.session import Progress, run

__all__ = ["Progress", "plan", "run"]
