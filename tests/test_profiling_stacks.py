"""Stacks as py-spy writes them: what belongs to the calls, which function is named first, what sampling can tell."""

import dataclasses

import pytest

from harness.profiling.stacks import Frame, changes, of_calls, parse, profile, ranked

ABOVE = "main (harness/worker.py:45);run (harness/runner.py:190);calls (harness/profiling/inside.py:80)"
FOLDED = f"""\
{ABOVE};run (acme/kernel.py:10);slow (acme/kernel.py:3) 60
{ABOVE};run (acme/kernel.py:11) 30
{ABOVE};run (acme/kernel.py:11);0x7f00 (libm.so.6) 10
{ABOVE} 3
{ABOVE};_spin.<locals>.goes_on (harness/profiling/inside.py:95);exists (pathlib.py:1) 4
main (harness/worker.py:45);_write (harness/worker.py:28) 2
"""
POOL = """\
Thread._bootstrap (threading.py:1002);_worker (concurrent/futures/thread.py:83);task (acme/kernel.py:20) 50
Thread._bootstrap (threading.py:1002);_worker (concurrent/futures/thread.py:81) 70
"""


def test_lines_become_frames_and_addresses_lose_their_number():
    (stack,) = parse("a (x/y.py:3);operator()(int) (kernel.cpp:7);add (np/_umath.cpython-311-x86_64.so);0x7f68 (libc.so.6) 4")
    assert stack[:2] == (Frame("a", "x/y.py", 3), Frame("operator()(int)", "kernel.cpp", 7))
    assert stack[2:] == (Frame("add", "np/_umath.so"), Frame("?", "libc.so.6"))
    assert [frame.native for frame in stack] == [False, True, True, True]
    assert parse("a 1\nno count\n\na 2") == {(Frame("a"),): 3.0}


def test_the_harness_and_what_is_between_calls_are_left_out():
    calling, beside = of_calls(parse(FOLDED))
    assert sum(calling.values()) == 100
    assert {stack[0].name for stack in calling} == {"run"}
    assert beside == {}


def test_a_planted_slow_function_is_first_with_its_line_and_native_code_counts_for_its_caller():
    slow, run = ranked(profile("mine", parse(FOLDED), 100.0))
    assert (slow.function, slow.line, slow.inner) == (Frame("slow", "acme/kernel.py"), 3, None)
    assert slow.value == pytest.approx(60)
    assert (run.function.name, run.line, run.inner) == ("run", 11, None), "a quarter of its time in libm is one of many"
    assert run.value == pytest.approx(40)


def test_a_library_counts_for_the_function_of_the_package_that_calls_it():
    text = f"{ABOVE};run (acme/kernel.py:10);planted (acme/kernel.py:3);median (numpy/lib.py:5);sort (numpy/lib.py:9);qs (np.so) 9"
    (planted,) = ranked(profile("mine", parse(text), 1.0, own="acme"))
    assert (planted.function.name, planted.line, planted.inner) == ("planted", 3, Frame("qs", "np.so"))
    (sort,) = ranked(profile("mine", parse(text), 1.0))
    assert (sort.function.name, sort.inner) == ("sort", Frame("qs", "np.so"))


def test_other_threads_count_when_they_work_and_who_waits_for_them_comes_last():
    waits = f"{ABOVE};run (acme/kernel.py:12);result (concurrent/futures/_base.py:451);wait (threading.py:327);lock (libpython.so) 100\n"
    for own in ("", "acme"):
        found = profile("mine", parse(waits + POOL), 2.0, own=own)
        assert found.samples == 100
        task, wait = ranked(found)
        assert (task.function.name, task.value) == ("task", pytest.approx(1.0))  # 50 of 100 samples of 2 ms
        assert (wait.function.name, wait.waits) == ("run" if own else "wait", True)


def test_times_are_those_measured_without_the_sampler():
    found = profile("mine", parse(FOLDED), 5.0)
    assert sum(found.weights.values()) == pytest.approx(5.0)
    assert ranked(found)[0].value == pytest.approx(3.0)


def test_no_sample_in_a_call_is_an_error():
    with pytest.raises(ValueError, match="none of 120 samples fell into a call"):
        profile("mine", parse(POOL), 1.0)


def test_a_change_is_named_and_what_sampling_brings_about_is_not():
    before = profile("base", parse(f"{ABOVE};run (acme/kernel.py:11) 400\n{ABOVE};run (acme/kernel.py:10);odd (acme/kernel.py:5) 3\n"), 1.0)
    after = profile(
        "head",
        parse(f"{ABOVE};run (acme/kernel.py:15) 300\n{ABOVE};run (acme/kernel.py:10);slow (acme/kernel.py:3) 100\n"),
        1.3,
    )
    first, *rest = changes(before, after)
    assert (first.function.name, first.known) == ("slow", True)
    assert first.more == pytest.approx(0.325)
    assert first.error == pytest.approx(1.96 * 1.3 * (0.25 * 0.75 / 400) ** 0.5, rel=0.2)
    assert [(one.function.name, one.known) for one in rest] == [("run", False), ("odd", False)]


def test_without_samples_there_is_no_sampling_error():
    found = dataclasses.replace(profile("mine", parse(FOLDED), 5.0), samples=0)
    assert found.error(0.5) == 0.0
