"""Whose code computes: required modules that were never imported, and other implementations that run in a call."""

import sys
from contextlib import contextmanager

import numpy as np

from harness.component import Implementation
from harness.origin import borrowed, unused


def shared(x):
    return np.sort(x)


@contextmanager
def load_plain(settings):
    yield lambda x: shared(x[:])


@contextmanager
def load_other(settings):
    def run(x):
        return shared(x)

    yield run


PLAIN = Implementation("sorting", "plain", "reference", load_plain)
OTHER = Implementation("sorting", "other", "optimized", load_other)
NAMES = (f"{__name__}:PLAIN", f"{__name__}:OTHER")


def call(implementation):
    run = implementation.load(None).__enter__()
    return lambda: run(np.arange(3.0))


def test_modules_that_were_never_imported_are_unused():
    assert unused(["sys", "numpy", "no_such_module"]) == ["no_such_module"]


def test_the_code_of_another_implementation_in_a_call_is_named():
    assert borrowed(call(PLAIN), OTHER, NAMES[:1]) == NAMES[0]


def test_helpers_that_both_use_are_nobodys():
    assert borrowed(call(OTHER), OTHER, NAMES[:1]) == ""


def test_an_implementation_may_run_itself_under_another_name():
    assert borrowed(call(PLAIN), PLAIN, NAMES) == ""


def test_what_is_not_imported_cannot_have_run():
    assert borrowed(call(PLAIN), OTHER, ["no_such_module:IT"]) == ""


def test_the_profiler_that_was_there_is_left_in_place():
    before = sys.getprofile()
    borrowed(call(PLAIN), OTHER, NAMES[:1])
    assert sys.getprofile() is before
