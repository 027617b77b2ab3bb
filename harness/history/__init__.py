"""History: asv's files as a projection of Records, read back, searched for steps, judged, published.

The only package that knows asv.
"""

from harness.history.files import check_machine, read
from harness.history.judging import NothingStored, Stored, judge_stored, points_for_judging
from harness.history.points import HistoryError, Key, NoHistory, Point, series
from harness.history.projection import Projected, Refused, failing, points_of, project
from harness.history.publish import (
    Published,
    Registration,
    entry,
    html_dir,
    machines,
    project_folder,
    publish,
    register_machine,
    results_dir,
)
from harness.history.standing import Standing, checkout, leading_to, standing
from harness.history.steps import Step, recent, steps
from harness.history.trend import Trend, trends

__all__ = [
    "HistoryError", "Key", "NoHistory", "NothingStored", "Point", "Projected", "Published", "Refused", "Registration", "Standing",
    "Step", "Stored", "Trend", "check_machine", "checkout", "entry", "failing", "html_dir", "judge_stored", "leading_to", "machines",
    "points_for_judging", "points_of", "project", "project_folder", "publish", "read", "recent", "register_machine", "results_dir",
    "series", "standing", "steps", "trends",
]  # fmt: skip
