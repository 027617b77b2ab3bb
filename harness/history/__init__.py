"""History: asv's files as a projection of Records, read back, searched for steps, judged, published.

The only package that knows asv.
"""

from harness.history.files import HistoryError, Key, Point, check_machine, read, series
from harness.history.judging import NothingStored, Stored, judge_stored, points_for_judging
from harness.history.projection import Projected, Refused, failing, points_of, project
from harness.history.publish import Published, Registration, entry, publish, register_machine, results_dir
from harness.history.steps import Step, steps

__all__ = [
    "HistoryError", "Key", "NothingStored", "Point", "Projected", "Published", "Refused", "Registration", "Step", "Stored",
    "check_machine", "entry", "failing", "judge_stored", "points_for_judging", "points_of", "project", "publish", "read",
    "register_machine", "results_dir", "series", "steps",
]  # fmt: skip
