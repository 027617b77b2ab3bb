"""The gate: head against base, both built and measured now, on this machine, in one session."""

from harness.gate.compare import controls, verdicts
from harness.gate.expected import Expected, expected
from harness.gate.margins import Margins
from harness.gate.session import Outcome, Progress, Sides, run
from harness.gate.sides import BuildFailed, Side

__all__ = ["BuildFailed", "Expected", "Margins", "Outcome", "Progress", "Side", "Sides", "controls", "expected", "run", "verdicts"]
