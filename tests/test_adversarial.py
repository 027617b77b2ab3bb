"""Each cheat of the table is caught by the check meant for it, and not without that check; the same code without the cheat passes."""

import contextlib
import re
import statistics
import sys
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from adversarial_table import BY_CONSTRUCTION, CHEATS, PAGE, page

from harness import registry
from harness.component import Implementation
from harness.measure import flip_settings, fuzz, plan, run
from harness.runner import Runner
from harness.settings import Settings

ADVERSARIAL = Path(__file__).parent / "adversarial"
CASES = {"sorting": "small", "recurrent": "sequence", "speech": "sentence"}

by_name = pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.name)


def points():
    found = {
        "sorting": "adversarial_plugin.component:COMPONENT",
        "recurrent": "adversarial_plugin.recurrent:COMPONENT",
        "speech": "adversarial_plugin.speech:COMPONENT",
    }
    yield from (EntryPoint(name, value, registry.COMPONENTS) for name, value in found.items())
    values = {
        "sorting.reference": "adversarial_plugin.honest:REFERENCE",
        "recurrent.reference": "adversarial_plugin.recurrent:REFERENCE",
        "speech.reference": "adversarial_plugin.speech:REFERENCE",
    }
    for cheat in CHEATS:
        values |= cheat.values
    yield from (EntryPoint(name, value, registry.IMPLEMENTATIONS) for name, value in values.items())


def forget():
    for name in [name for name in sys.modules if name.startswith("adversarial_plugin")]:
        del sys.modules[name]


class Trial:
    """What becomes of each implementation: with every check in place, and with one taken out. Sessions are shared and kept."""

    def __init__(self, folder):
        self.folder = folder
        self.installed = registry.discover(points())
        self.records = cache(self._records)

    def _records(self, session, check=None):
        """Records by name of one session: every cheat beside its twin, or those `check` is meant for with that check taken out."""
        timed, seconds, patience = session
        cheats = [one for one in CHEATS if one.check.door == "run" and one.check.session == session and check in (None, one.check)]
        names = [name for one in cheats for name in ((one.full, one.honest) if check is None or check.compares else (one.full,))]
        cases = {CASES[one.component] for one in cheats}
        made = plan(self.installed, Settings(threads=1), names, machine="here", profile="any", cases=sorted(cases), launches=1)
        environment = {"ADVERSARIAL_WITHOUT": check.worker} if check and check.worker else {}
        options = {"settings": Settings(threads=1), "environment": environment, "timed": timed, "patience": patience}
        with self._without(check), pytest.MonkeyPatch.context() as patch:
            # Of a session without time every row gets the least: how long parity took, on this machine and now, takes none of it.
            patch.setattr("harness.measure.session.LEAST_SECONDS", seconds)
            found = run(made, self.installed, seconds=0.0, **options)
        return {f"{item.component}.{item.row}": item for item in found}

    def fate(self, cheat, name, check=None):
        """In words: how the row ended, what it cost and produced beside its twin, what was noted."""
        door = {"run": self._ran, "fuzz": self._fuzzed, "settings": self._flipped, "registry": self._registered}[cheat.check.door]
        return door(cheat, name, check)

    def _ran(self, cheat, name, check):
        records = self.records(cheat.check.session, check)
        item, twin = records.get(name), records.get(cheat.honest)
        if item is None:
            return "no record"
        if item.outcome.kind != "measured":
            return f"{item.outcome.kind}: {item.outcome.message}"
        failed = [result.message for result in item.parity if not result.passed]
        if failed:
            return f"parity: {failed[0]}"
        text = "measured"
        if twin is not None and twin.samples.blocks:
            share = cost(item) / cost(twin)
            text += f" for {share:.2g} of the honest time" if share < 0.5 else ""
        if twin is not None:
            share = item.samples.produced / twin.samples.produced
            text += f", produced {share:.3g} of what was asked" if share != 1 else ""
        return "; note: ".join([text, *item.state["notes"]])

    def _fuzzed(self, cheat, name, check):
        implementation = name.partition(".")[2]
        made = plan(self.installed, Settings(), [name], machine="here", profile="any", cases=("tiny",), launches=1)
        row = next(row for row in made.planned if row.implementation == implementation)
        with self._without(check):
            found = fuzz(self.installed, row, examples=60, folder=self.folder / str(check is None))
        return found.failure.message if found.failure else ""

    def _flipped(self, cheat, name, check):
        component, implementation = name.split(".")
        with self._without(check):
            flips = flip_settings(self.installed, {component: [self.installed.implementations(component)[implementation]]})
        return "; ".join(flip.message for flip in flips if flip.implementation and not flip.shown)

    def _registered(self, cheat, name, check):
        forget()
        with self._without(check):
            return "; ".join(registry.discover(points()).entry(name).notes)

    @contextlib.contextmanager
    def _without(self, check):
        with pytest.MonkeyPatch.context() as patch:
            if check is not None:
                check.off(patch)
            yield


def cost(item):
    """Processor seconds of a call in the median block."""
    return statistics.median(block.cpu_seconds / block.calls for block in item.samples.blocks)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ADVERSARIAL)
        patch.setenv("HARNESS_CACHE_FOLDER", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HARNESS_DATA", str(tmp_path_factory.mktemp("data")))
        yield Trial(tmp_path_factory.mktemp("failures"))
    forget()


@by_name
def test_a_cheat_is_caught_by_the_check_meant_for_it(trial, cheat):
    fate = trial.fate(cheat, cheat.full)
    assert re.search(cheat.caught, fate, re.DOTALL), fate


@by_name
def test_the_same_code_without_the_cheat_passes(trial, cheat):
    assert trial.fate(cheat, cheat.honest) in ("", "measured")


@by_name
def test_without_that_check_the_cheat_is_not_caught_by_it(trial, cheat):
    fate = trial.fate(cheat, cheat.full, cheat.check)
    assert not re.search(cheat.caught, fate, re.DOTALL), fate
    assert re.search(cheat.missed, fate, re.DOTALL), fate


def test_the_page_shows_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python tests/adversarial_table.py"


@pytest.mark.parametrize("test", [test for _, _, test in BY_CONSTRUCTION])
def test_what_the_page_names_as_shown_is_a_test(test):
    file, _, name = test.partition("::")
    assert f"def {name}(" in (Path(__file__).parent / file).read_text(encoding="utf-8")


def test_inputs_are_arrays_before_any_timer_starts(trial):
    runner, asked, seen = Runner(), {"x": np.arange(5.0)}, []
    runner.prepare(inputs={"0": asked}, seed=1)

    @contextlib.contextmanager
    def load(settings):
        yield lambda inputs: seen.append(inputs["x"]) or {"y": inputs["x"] + 1}

    implementation = Implementation("sorting", "sees", "optimized", load)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.origin.attribute", lambda value: implementation)
        runner.load(implementation="anything", settings={})
    runner.cold(seed=0)
    runner.block(calls=3)
    assert len(seen) == 4
    assert all(x is asked["x"] for x in seen)
