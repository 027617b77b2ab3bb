"""The pytest door, in a project of its own: what is collected, what is red, and that pytest's own options work on it."""

import json
import re
import xml.etree.ElementTree as ET

import pytest
from doors import TOY, TOY_ENTRIES, Project, ended

PASSES, FAILS, USAGE, NOTHING = 0, 1, 4, 5


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A foreign project with a test and a conftest of its own, and the toy plugin."""
    made = Project(tmp_path_factory.mktemp("foreign"))
    made.plugin("toy", TOY, TOY_ENTRIES)
    (made.folder / "tests").mkdir()
    (made.folder / "tests" / "test_own.py").write_text("def test_own(own):\n    assert own == 3\n")
    (made.folder / "tests" / "conftest.py").write_text(
        "import pytest\n\n@pytest.fixture(autouse=True)\ndef own(request):\n    assert request.node.fspath\n    return 3\n\n"
        "def pytest_collection_modifyitems(items):\n    for item in items:\n        assert item.nodeid and item.path and item.location\n"
    )
    return made


def run(project, *arguments, pyproject="", target=None):
    """What pytest says in the project; target: one of the project's own."""
    project.pyproject(pyproject)
    if target is not None:
        project.target("toy", **target)
    return ended(project.python("-m", "pytest", "-p", "no:cacheprovider", "-W", "ignore", *arguments))


def items(said):
    return [line for line in said.out.splitlines() if "::" in line]


# What is collected.


def test_nothing_of_ours_is_collected_unasked(project):
    said = run(project, "--collect-only", "-q")
    assert (said.code, items(said)) == (PASSES, ["tests/test_own.py::test_own"])


EVERYTHING = {
    "tests/test_own.py::test_own",
    "toy::reference::parity[one]", "toy::reference::benchmark[one]", "toy::fast::parity[one]", "toy::fast::benchmark[one]",
    "toy::wrong::parity[one]", "toy::wrong::benchmark[one]", "toy::quits::parity[one]", "toy::quits::benchmark[one]",
    "toy::gone::unavailable", "toy::rival::benchmark[one]",
}  # fmt: skip


def test_everything_is_collected_with_the_option(project):
    said = run(project, "--harness", "--collect-only", "-q")
    assert said.code == PASSES, said
    found = set(items(said))
    assert found >= EVERYTHING
    assert {item.partition("::")[0] for item in found} > {"toy", "dbn", "spectrogram"}


def test_a_pattern_selects(project):
    said = run(project, "--harness=toy.f*", "--collect-only", "-q")
    assert set(items(said)) == {"tests/test_own.py::test_own", "toy::fast::parity[one]", "toy::fast::benchmark[one]"}


def test_pyproject_can_ask_for_it_always(project):
    said = run(project, "--collect-only", "-q", pyproject="[tool.harness]\npytest = true\n")
    assert set(items(said)) >= EVERYTHING
    said = run(project, "--collect-only", "-q", pyproject="[tool.harness]\npytest = false\n")
    assert items(said) == ["tests/test_own.py::test_own"]


@pytest.mark.parametrize(
    ("arguments", "pyproject", "message"),
    [
        (("--harness=nosuch",), "", "nothing matches 'nosuch'; known: .*toy"),
        (("toy::nosuch",), "", "no such item: toy::nosuch"),
        (("nosuch::x",), "", "nothing matches 'nosuch'"),
        (("--harness", "tests"), "", "took 'tests' for its PATTERN: write --harness=PATTERN"),
        ((), "[tool.harness]\npytest = 'yes'\n", r"\[tool.harness\] pytest: expected true or false, found 'yes'"),
        ((), "[tool.harness]\npytset = true\n", "unknown key 'pytset'"),
        (("--harness=toy",), "[[tool.harness.targets.toy]]\n", "entry 1 .*: expected 'profile', found none"),
    ],
)
def test_what_cannot_be_is_a_usage_error(project, arguments, pyproject, message):
    said = run(project, *arguments, pyproject=pyproject)
    assert said.code == USAGE, said
    assert re.search(f"^ERROR: .*{message}", said.err, re.MULTILINE)
    assert "Traceback" not in said.err + said.out


def test_zero_selected_is_pytests_own_code_for_it(project):
    assert run(project, "--harness=toy", "-k", "nosuch").code == NOTHING


# What is green and what is red.


@pytest.fixture(scope="module")
def whole(project):
    """One run over everything of the toy, with a target that it meets, and its JUnit report."""
    return run(project, "--harness=toy", "-v", "-rs", "--junit-xml=j.xml", target={"metric": "peak_bytes", "at_most": 1e12})


def outcome(said, item):
    (line,) = [line for line in said.out.splitlines() if line.startswith(f"{item} ")]
    return line.removeprefix(item).split()[0]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("tests/test_own.py::test_own", "PASSED"),
        ("toy::reference::parity[one]", "PASSED"),
        ("toy::fast::parity[one]", "PASSED"),
        ("toy::fast::target[one-peak_bytes <= 1e+12]", "PASSED"),
        ("toy::fast::benchmark[one]", "PASSED"),
        ("toy::rival::benchmark[one]", "PASSED"),
        ("toy::wrong::parity[one]", "FAILED"),
        ("toy::wrong::target[one-peak_bytes <= 1e+12]", "FAILED"),
        ("toy::wrong::benchmark[one]", "FAILED"),
        ("toy::quits::parity[one]", "FAILED"),
        ("toy::quits::target[one-peak_bytes <= 1e+12]", "FAILED"),
        ("toy::quits::benchmark[one]", "FAILED"),
        ("toy::gone::unavailable", "SKIPPED"),
    ],
)
def test_each_item_has_the_outcome_of_its_row(whole, item, expected):
    assert whole.code == FAILS
    assert outcome(whole, item) == expected


def test_a_failing_parity_item_says_what_and_how_to_see_it_again(whole):
    message = r"parity: fail: toy.wrong, case one, seed 2, .*: y is not identical at \[7\]: 19.0 vs 18.0 .*; "
    assert re.search(f"{message}reproduce: harness run toy.wrong --only parity --case one --seed 2", whole.out)


def test_what_ends_its_process_does_not_end_pytest(whole):
    assert "toy.quits: the first call ended its process with exit code 0" in whole.flat
    assert "no numbers of what does not work" in whole.out


def test_what_is_unavailable_is_skipped_with_its_reason(whole):
    assert re.search(r"^SKIPPED .*no_such_package: not installed$", whole.out, re.MULTILINE)


def test_junit_has_every_item_with_what_was_measured(project, whole):
    cases = {(case.get("classname"), case.get("name")): case for case in ET.parse(project.folder / "j.xml").getroot().iter("testcase")}
    assert len(cases) == len(EVERYTHING) + 3
    target = cases["toy.fast", "target[one-peak_bytes <= 1e+12]"]
    found = {p.get("name"): p.get("value") for p in target.iter("property")}
    assert re.fullmatch(r"[\d.]+ MB( \[.*\])?", found["peak_bytes"])
    assert found["target"] == "peak_bytes <= 1e+12"
    assert found["set in"].endswith("pyproject.toml: tool.harness.targets.toy: entry 1")
    assert "no_such_package" in cases["toy.gone", "unavailable"].find("skipped").get("message")
    failure = cases["toy.wrong", "parity[one]"].find("failure")
    assert "reproduce: harness run toy.wrong --only parity" in failure.text


def test_times_were_taken_once(project, whole):
    plans = [json.loads(path.read_text().splitlines()[0]) for path in project.records.glob("*.jsonl")]
    (plan,) = [plan for plan in plans if {row["implementation"] for row in plan["planned"]} > {"wrong", "quits"}]
    assert {row["case"] for row in plan["planned"]} == {"one"}


def test_benchmarks_are_named_and_grouped(whole):
    assert "benchmark 'toy on one': 3 tests" in whole.out
    names = {line.split()[0] for line in whole.out.splitlines() if re.match(r"(reference|fast|rival) +\d", line)}
    assert names == {"reference", "fast", "rival"}


def test_missed_and_undecided_targets_fail_and_say_why(project):
    project.target("toy", metric="peak_bytes", at_most=1000)
    project.target("toy", metric="device_peak_bytes", at_most=1, more=True)
    said = ended(project.python("-m", "pytest", "-p", "no:cacheprovider", "toy::fast::target"))
    assert said.code == FAILS
    assert re.search(r"target: fail: peak_bytes <= 1000: found [\d.e+]+ \[.*\] \(stated: the user; bound set in .*pyproject.toml", said.out)
    assert "target: inconclusive: device_peak_bytes <= 1: not measured: no device memory was measured" in said.out
    plan = project.lines()[0]
    assert {row["implementation"] for row in plan["planned"]} == {"reference", "fast", "rival"}, "what was not asked for is not measured"


def test_a_target_of_a_thorough_case_is_not_forgotten(project):
    said = run(project, "--harness=toy.fast", "-rs", "-k", "target", target={"metric": "peak_bytes", "at_most": 1e12, "case": "hour"})
    assert re.search(r"SKIPPED.*target not judged: case hour: only with --thorough: takes an hour", said.out)


def test_a_target_of_settings_that_no_row_has_is_not_forgotten(project):
    target = {"metric": "peak_bytes", "at_most": 1e12, "settings": {"threads": 5}}
    said = run(project, "--harness=toy.fast", "-rs", "-k", "target", target=target)
    assert re.search(r"SKIPPED.*target not judged: no planned row has its case, implementation and settings", said.out)


def test_a_broken_plugin_is_red(tmp_path):
    project = Project(tmp_path)
    project.plugin("toy", TOY, {name: TOY_ENTRIES[name] for name in ("toy", "toy.reference", "toy.fast")})
    project.plugin("bad", "raise RuntimeError('out of order')", {"toy.bad": "BAD", "other": "COMPONENT"})
    said = run(project, "--harness", "-k", "broken", "-v")
    assert said.code == FAILS
    assert outcome(said, "toy::bad::broken") == outcome(said, "other::broken") == "FAILED"
    assert "broken: importing bad:BAD raised RuntimeError: out of order; repair or uninstall it" in said.flat


# pytest's options, and those of its plugins.


def test_a_node_id_selects_one_item(project):
    said = run(project, "toy::fast::parity[one]", "-v")
    assert (said.code, len(items(said))) == (PASSES, 1)
    said = run(project, "tests", "toy::fast::parity", "-v")
    assert (said.code, len(items(said))) == (PASSES, 2)


def test_keywords_select_among_ours_and_theirs(project):
    said = run(project, "--harness=toy", "-k", "own or (fast and parity)", "-v")
    assert (said.code, len(items(said))) == (PASSES, 2)
    assert "9 deselected" in said.out


def test_processes_of_xdist_share_what_one_has_measured(project):
    before = set(project.records.glob("*.jsonl"))
    said = run(project, "--harness=toy", "-n", "2", "-k", "fast or rival or own", target={"metric": "peak_bytes", "at_most": 1e12})
    assert said.code == PASSES, said
    assert len(set(project.records.glob("*.jsonl")) - before) == 1


def test_without_pytest_benchmark_there_are_no_benchmarks(project):
    said = run(project, "--harness=toy", "-p", "no:benchmark", "--collect-only", "-q")
    assert set(items(said)) == {item for item in EVERYTHING if "benchmark" not in item}


def test_benchmark_only_skips_the_rest_and_writes_its_json(project):
    said = run(project, "--harness=toy.fast", "--benchmark-only", "--benchmark-json=b.json", "-v")
    assert said.code == PASSES, said
    assert outcome(said, "toy::fast::benchmark[one]") == "PASSED"
    assert outcome(said, "toy::fast::parity[one]") == "SKIPPED"
    (found,) = json.loads((project.folder / "b.json").read_text())["benchmarks"]
    assert (found["name"], found["fullname"], found["group"]) == ("fast", "toy::fast::benchmark[one]", "toy on one")
    assert found["stats"]["rounds"] >= 5


def test_benchmark_disable_still_runs_each_once_and_keeps_wrong_results_red(project):
    said = run(project, "--harness=toy", "--benchmark-disable", "-k", "benchmark and (fast or wrong)", "-v")
    assert said.code == FAILS
    assert outcome(said, "toy::fast::benchmark[one]") == "PASSED"
    assert outcome(said, "toy::wrong::benchmark[one]") == "FAILED"


def test_benchmark_skip_skips_numbers_and_no_verdict(project):
    said = run(project, "--harness=toy.wrong", "--benchmark-skip", "-v")
    assert said.code == FAILS
    assert outcome(said, "toy::wrong::benchmark[one]") == "SKIPPED"
    assert outcome(said, "toy::wrong::parity[one]") == "FAILED"


def test_it_costs_nothing_where_it_is_not_asked_for(project):
    code = "import sys, pytest; pytest.main(['-q', 'tests']); print(sorted(name for name in sys.modules if name.startswith('harness.')))"
    project.pyproject("")
    said = ended(project.python("-c", code))
    assert said.out.splitlines()[-1] == "['harness.project', 'harness.pytest_plugin', 'harness.settings']"
