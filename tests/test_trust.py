import os
import time

import pytest

from harness.measure.trust import Seen, Witness, cpu_seconds


def witness(*accounts):
    """From (reported wall, reported cpu, seen wall, seen cpu) in milliseconds."""
    found = Witness()
    for wall, cpu, seen_wall, seen_cpu in accounts:
        found.add("block", Seen(seen_wall / 1e3, seen_cpu / 1e3), wall=wall / 1e3, cpu=cpu / 1e3)
    return found


@pytest.mark.parametrize(
    "account",
    [
        (2, 2, 2.2, 2.2),
        (2, 2, 12, 2.3),  # the worker waited long for a CPU before it began
        (2, 2 * (os.cpu_count() or 1), 2.2, 2.1 * (os.cpu_count() or 1)),  # all CPUs at work
        (50, 0.1, 50.5, 0.3),  # waiting for a device
        (0.002, 0.002, 0.2, 0.1),  # a block far below the cost of asking
    ],
)
def test_honest_clocks_are_trusted(account):
    assert witness(*[account] * 9).contradiction() == ""
    assert not witness(*[account] * 9).gross()


@pytest.mark.parametrize(
    ("account", "message"),
    [
        ((2, 2, 20, 20), r"reports 0\.018 s of processor time, the system 0\.18 s"),
        ((2, 20 * (os.cpu_count() or 1), 20, 20), "of processor time within 0.018 s on"),
        ((2, 0.1, 100, 0.3), r"reports 0\.01 s for what took 0\.5 s here"),
    ],
)
def test_clocks_that_contradict_what_is_seen_are_not(account, message):
    with pytest.raises(AssertionError, match=message):
        assert witness(*[account] * 9).contradiction() == ""


def test_a_clock_that_stands_still_is_found_after_two_commands():
    assert not witness((0, 0, 300, 300)).gross()
    assert witness((0, 0, 300, 300), (0, 0, 300, 300)).gross()


def test_one_kind_of_command_does_not_make_up_for_another():
    found = witness(*[(2, 2, 20, 20)] * 9)
    for _ in range(4):
        found.add("calls", Seen(0.5, 0.5), wall=0.5, cpu=0.5)
    assert "reports 0.018 s of processor time" in found.contradiction()


def test_work_after_the_timer_is_not_held_against_the_clock():
    found = Witness()
    for _ in range(9):
        found.add("block", Seen(0.05, 0.05), wall=0.002, cpu=0.002, after=0.047)
    assert found.contradiction() == ""


def test_processor_time_is_read_from_outside():
    before = cpu_seconds(os.getpid())
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    assert 0.045 < cpu_seconds(os.getpid()) - before < 1
    assert cpu_seconds(2**22 + 1) == 0.0
