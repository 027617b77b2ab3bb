"""Where the time and the memory of a row go: stacks sampled from outside the timed run, and what changed from another row."""

from __future__ import annotations

from harness.profiling.operators import Operator
from harness.profiling.sampler import Unsampled
from harness.profiling.session import Explanation, Subject, explain
from harness.profiling.stacks import Change, Frame, Part, Profile, changes, ranked

__all__ = ["Change", "Explanation", "Frame", "Operator", "Part", "Profile", "Subject", "Unsampled", "changes", "explain", "ranked"]
