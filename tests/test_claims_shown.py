"""Claims that a command shows: what it told decides, how it ended decides, and nothing is believed that was not told."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness import figures, showing, shown
from harness.claims import Claim, Entry, ledger, load
from harness.figures import Figure, tell
from harness.report import ledger as report
from harness.settings import ConfigurationError
from harness.shown import Counts, Shown

COMMAND = "python -m counted"
PYTEST = "pytest tests/test_it.py"
AT_LEAST = Claim("1.fast", "doc.txt", "4x", "codec", "speedup", "here", at_least=4.0, shown_by=COMMAND)
AT_MOST = replace(AT_LEAST, id="2.small", metric="peak_bytes", at_least=None, at_most=1e9)
BEHAVES = replace(AT_LEAST, id="3.behaves", metric="behaviour", at_least=None, shown_by=PYTEST)
RUN = Shown(COMMAND, "2025-01-02T03:04:05+00:00", 1.5, "machine-1", "abc", False, 0, "done")


def told(metric: str, value: float, *interval: float, limit: bool = False, how: figures.How = "measured") -> Shown:
    low, high = interval or (value, value)
    return replace(RUN, figures=(Figure(metric, value, low, high, how, "all of it", limit),))


def entry(of: Claim, *ran: Shown) -> Entry:
    (found,) = ledger([of], [], ["codec"], shown=ran)
    return found


@pytest.mark.parametrize(
    ("of", "ran", "status", "reason"),
    [
        (AT_LEAST, told("speedup", 5.0, 4.5, 6.0), "held", COMMAND),
        (AT_LEAST, told("speedup", 3.0, 2.0, 3.5), "not held", COMMAND),
        (AT_LEAST, told("speedup", 3.0, 2.0, 4.5), "not yet measured", "the bound lies inside the interval"),
        (AT_MOST, told("peak_bytes", 0.5e9, how="computed"), "held", COMMAND),
        (AT_MOST, told("peak_bytes", 1.5e9, how="computed"), "not held", COMMAND),
        (AT_LEAST, told("speedup", 1.6, how="computed", limit=True), "unreachable", COMMAND),
        (AT_LEAST, told("speedup", 9.0, how="computed", limit=True), "not yet measured", "nothing forbids it"),
        (AT_LEAST, told("peak_bytes", 9.0), "not yet measured", "told no figure of speedup"),
        (AT_LEAST, replace(told("speedup", 5.0), exit=1, last="ValueError: wrong"), "not yet measured", "status 1: ValueError: wrong"),
        (AT_LEAST, replace(told("speedup", 5.0), command="python -m other"), "not yet measured", "harness claims --show 1.fast"),
        (replace(AT_LEAST, at_least=None), told("speedup", 5.0), "not yet measured", "it states no bound to judge by"),
        (replace(AT_LEAST, contradiction="1 is not 2"), told("speedup", 5.0), "contradicts itself", "1 is not 2"),
    ],
)
def test_figures_decide(of: Claim, ran: Shown, status: str, reason: str) -> None:
    found = entry(of, ran)
    assert found.status == status
    assert reason in found.reason


@pytest.mark.parametrize(
    ("tests", "exit_", "status", "seen"),
    [
        (Counts(3, 0, 0), 0, "held", "tests: 3 passed"),
        (Counts(2, 1, 0), 1, "not held", "tests: 2 passed, 1 failed"),
        (Counts(2, 0, 1), 0, "not yet measured", "tests: 2 passed, 1 skipped"),
        (Counts(0, 0, 0), 5, "not yet measured", "tests: "),
        (Counts(3, 0, 0), 2, "not yet measured", "tests: 3 passed"),
    ],
)
def test_a_behaviour_holds_where_all_of_its_tests_ran_and_passed(tests: Counts, exit_: int, status: str, seen: str) -> None:
    found = entry(BEHAVES, replace(RUN, command=PYTEST, tests=tests, exit=exit_))
    assert (found.status, found.seen) == (status, seen)


@pytest.mark.parametrize(("exit_", "status"), [(0, "held"), (1, "not held"), (3, "not yet measured"), (-9, "not yet measured")])
def test_a_command_of_the_harness_says_by_its_status(exit_: int, status: str) -> None:
    command = "harness run tts --only settings"
    assert entry(replace(BEHAVES, shown_by=command), replace(RUN, command=command, exit=exit_)).status == status


def test_the_newest_run_that_decides_counts() -> None:
    slow, fast, between = told("speedup", 3.0), told("speedup", 5.0), told("speedup", 4.0, 3.0, 5.0)
    assert entry(AT_LEAST, slow, fast).status == "held"
    assert entry(AT_LEAST, fast, slow, between).status == "not held"


def test_the_ledger_says_what_was_not_measured() -> None:
    entries = ledger([AT_MOST, BEHAVES], [], ["codec"], shown=[
        told("peak_bytes", 0.5e9, how="computed"), replace(RUN, command=PYTEST, tests=Counts(3, 0, 0)),
    ])  # fmt: skip
    console = Console(file=io.StringIO(), width=240, highlight=False)
    report.render(entries, console)
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "500 MB held" in text
    assert "computed: all of it, 2025-01-02, machine-1" in text
    assert "tests: 3 passed held" in text
    body = json.loads(report.as_json(entries))["claims"]
    assert [one["measured"]["how"] for one in body] == ["computed", "measured"]
    assert body[1]["measured"]["seen"] == "tests: 3 passed"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout whose program tells a figure, and whose tests pass, fail and are skipped."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "audio-perf-harness"\n')
    (tmp_path / "counted.py").write_text(
        "import sys\nfrom harness.figures import tell\nprint('counting')\n"
        "tell('speedup', 5, 'measured', 'two rows', interval=(4.5, 5.5))\nprint('counted')\nsys.exit(*map(int, sys.argv[1:]))\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_good(): pass\ndef test_bad(): assert False\n@pytest.mark.skip\ndef test_left(): pass\n"
    )
    return tmp_path


def test_a_run_keeps_what_a_program_told_and_how_it_ended(root: Path) -> None:
    lines: list[str] = []
    found = showing.run(COMMAND, root, lines.append)
    assert (found.exit, found.last, lines) == (0, "counted", ["counting", "counted"])
    assert found.figures == (Figure("speedup", 5.0, 4.5, 5.5, "measured", "two rows"),)
    assert found.dirty
    assert found.tests is None
    shown.keep(root, found)
    assert list(shown.kept(root)) == [found]
    assert entry(AT_LEAST, *shown.kept(root)).status == "held"
    failed = showing.run(f"{COMMAND} 3", root, lines.append)
    assert failed.exit == 3
    assert entry(replace(AT_LEAST, shown_by=failed.command), failed).status == "not yet measured"


@pytest.mark.parametrize(("chosen", "tests"), [("", Counts(1, 1, 1)), (" -k good", Counts(1, 0, 0)), (" -k nothing", Counts(0, 0, 0))])
def test_a_run_of_pytest_counts_its_tests(root: Path, chosen: str, tests: Counts) -> None:
    command = f"pytest -n 0 test_it.py{chosen}"
    found = showing.run(command, root, lambda line: None)
    assert found.tests == tests
    assert entry(replace(BEHAVES, shown_by=command), found).status == {1: "not held", 0: "held", 5: "not yet measured"}[found.exit]


def test_a_run_of_the_harness_itself(root: Path) -> None:
    found = showing.run("harness list", root, lambda line: None)
    assert found.exit in {0, 5}, found.last
    assert "No module" not in found.last
    said: list[str] = []
    assert showing.run("harness claims --help", root, said.append).exit == 0
    assert any("--show" in line for line in said)


def test_a_program_that_cannot_start_says_so(root: Path) -> None:
    found = showing.run("python -m missing", root, lambda line: None)
    assert found.exit == 1
    assert "No module named missing" in entry(replace(AT_LEAST, shown_by="python -m missing"), found).reason


def test_nothing_is_told_outside_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(figures.FILE, raising=False)
    tell("speedup", 5.0, "measured", "two rows")
    monkeypatch.setenv(figures.FILE, str(tmp_path / "told"))
    tell("speedup", 5.0, "measured", "two rows")
    tell("peak_bytes", 5, "computed", "weights", limit=True)
    assert [figure.metric for figure in shown.figures_of(tmp_path / "told")] == ["speedup", "peak_bytes"]


@pytest.mark.parametrize(
    ("value", "how", "interval", "message"),
    [
        (5.0, "guessed", None, "expected measured, modelled, computed, simulated, found 'guessed'"),
        (float("nan"), "measured", None, "expected finite low <= value <= high"),
        (5.0, "measured", (5.5, 6.0), "expected finite low <= value <= high, found 5.5, 5.0, 6.0"),
    ],
)
def test_what_is_no_figure_is_refused(value: float, how: str, interval: tuple[float, float] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tell("speedup", value, how, "two rows", interval=interval)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"command": 1}', "[" * 100_000], ids=["empty", "cut", "list", "number", "deep"])
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / shown.FOLDER / "2025-01-02T030405-12345678.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"030405-12345678\.json: expected what `harness claims --show` writes, found: .*; delete"):
        list(shown.kept(tmp_path))


def test_the_commands_of_claims() -> None:
    claims = [AT_LEAST, AT_MOST, BEHAVES, replace(AT_LEAST, id="4.session", shown_by="", known="harness run codec")]
    assert showing.commands(claims, []) == (COMMAND, PYTEST)
    assert showing.commands(claims, ["2.small"]) == (COMMAND,)
    with pytest.raises(ConfigurationError, match=r"no claim '5\.none'"):
        showing.commands(claims, ["5.none"])
    with pytest.raises(ConfigurationError, match=r"4\.session is judged by sessions, no command shows it: harness run codec"):
        showing.commands(claims, ["4.session"])


def test_commands_run_in_a_checkout_of_the_project_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "below").mkdir()
    monkeypatch.chdir(root / "below")
    assert showing.checkout() == root
    (root / "pyproject.toml").write_text('[project]\nname = "acme"\n')
    with pytest.raises(ConfigurationError, match="a checkout of audio-perf-harness: expected one here, found acme in"):
        showing.checkout()


def test_what_the_ledger_names_can_run() -> None:
    """Programs exist; tests are looked for in tests/test_claims.py."""
    root = Path(__file__).parent.parent
    modules = [one.shown_by.split()[2] for one in load() if one.shown_by.startswith("python -m ")]
    assert modules
    for module in modules:
        path = root / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module
