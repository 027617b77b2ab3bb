"""Verdicts, pure: what follows from a plan, its records and the targets.

Every planned row on every case answers up to four questions: did it run as planned, is it the same as the reference, does it
meet its targets, did it regress (answered by the gate alone). Each answer is pass, fail, inconclusive or invalid; a row without
targets says `no target`. What was planned and left no record is never green.
"""

from harness.verdict.answers import Answer, Problem, Question, Row, State, Verdicts, exit_code
from harness.verdict.bounds import MOST_REJECTED, answer_target, applies, unjudged
from harness.verdict.judging import broken, judge

__all__ = [
    "MOST_REJECTED", "Answer", "Problem", "Question", "Row", "State", "Verdicts", "answer_target", "applies", "broken", "exit_code",
    "judge", "unjudged",
]  # fmt: skip
