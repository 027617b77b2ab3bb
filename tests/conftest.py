"""What holds for all tests: the examples that Hypothesis draws, and how many processes the suite is spread over."""

import os

import hypothesis
import pytest

MOST_PROCESSES = 4

hypothesis.settings.register_profile(
    "same examples", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)


def pytest_configure(config):
    """The default suite tries the same examples each time, however slow the machine is; `-m long` goes on to draw new ones."""
    if config.option.markexpr == "not long":
        hypothesis.settings.load_profile("same examples")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One for each CPU where the whole default suite is asked for. What is asked for by name, takes times (`--harness`) or takes
    minutes (`-m long`) runs in this process, alone."""
    whole = config.args_source is config.ArgsSource.TESTPATHS and config.option.markexpr == "not long"
    if not whole or config.option.harness is not None or config.option.collectonly:
        return 0
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_PROCESSES) if usable > 1 else 0
