"""The specimen's kernel as asv times it: functions without setup, so that asv may put many calls into one sample."""

from gate_specimen.component import COMPONENT
from gate_specimen.kernel import IMPLEMENTATION

INPUTS = {case.name: case.make(0) for case in COMPONENT.cases}
loaded = IMPLEMENTATION.load({})  # kept: its end would free what `run` uses
run = loaded.__enter__()


def time_10us():
    run(INPUTS["10us"])


def time_1ms():
    run(INPUTS["1ms"])


def time_50ms():
    run(INPUTS["50ms"])
