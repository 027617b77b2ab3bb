"""Sessions: plans, interleaving, noise, interruption, and what becomes of rows that cheat, crash or hang."""

import sys
from pathlib import Path

import pytest

from harness import record, registry
from harness.measure import plan, run
from harness.settings import ConfigurationError, Settings

ADVERSARIAL = Path(__file__).parent / "adversarial"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The registry with the adversarial plugin in it, as if it were installed; reference outputs are cached in a fresh folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ADVERSARIAL)
        patch.setenv("HARNESS_CACHE_FOLDER", str(tmp_path_factory.mktemp("cache")))
        yield registry.discover()
    for name in [name for name in sys.modules if name.startswith("adversarial_plugin")]:
        del sys.modules[name]


def planned(installed, *names, settings=None, cases=("small",), **options):
    options = {"machine": "here", "profile": "any", **options}
    return plan(installed, settings or Settings(), [f"sorting.{name}" for name in names], cases=cases, **options)


def measured(installed, *names, seconds=2.0, launches=1, settings=None, cases=("small",), **options):
    """Records by row of one short session."""
    made = planned(installed, *names, launches=launches, settings=settings, cases=cases)
    return {item.row: item for item in run(made, installed, seconds=seconds, settings=settings, **options)}


def test_a_session_measures_every_row_of_the_plan(installed, tmp_path):
    made = planned(installed, "honest", "twice", launches=2)
    store = record.Store(tmp_path)
    found = run(made, installed, seconds=4.0, store=store)
    assert {(item.row, item.launch) for item in found} == {(row.row, launch) for row in made.planned for launch in range(2)}
    assert [item.outcome.kind for item in found] == ["measured"] * len(found)
    for item in found:
        assert all(result.passed for result in item.parity)
        assert item.parity
        assert len({block.round for block in item.samples.blocks}) >= 3
        assert item.samples.calls
        assert item.samples.load.wall_seconds > 0
        assert item.samples.cold.wall_seconds > 0
        assert 0 < item.samples.base_bytes <= item.samples.loaded_bytes <= item.samples.peak_bytes
        assert item.samples.produced == 20_000
        assert item.build.file.endswith("honest.py")
        assert item.build.distribution == "adversarial-plugin"
        assert item.environment["OMP_NUM_THREADS"]
        assert "openblas" in item.environment["pools"] or item.environment["pools"] == ""
    by_row = {item.row: item for item in found if item.launch == 1}
    assert by_row["honest[precision=float32]"].exact is False
    assert by_row["honest[precision=float32]"].parity[0].kind == "approximate"
    cpu = {row: min(b.cpu_seconds / b.calls for b in item.samples.blocks) for row, item in by_row.items()}
    assert cpu["twice"] > 1.3 * cpu["reference"]
    assert store.read(made.session) == (made, found)


def test_unknown_case_is_a_configuration_error(installed):
    with pytest.raises(ConfigurationError, match=r"no case 'gigantic'; known: long, small, tiny"):
        planned(installed, "honest", cases=("gigantic",))
