"""`harness judge --history` in a plugin author's own repository: its patterns, the commit it judged, its trends, its exit codes."""

import dataclasses
import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from doors import Project, ended, one_line
from histories import git
from synthetic import launches

from harness import history
from harness.machine import this_machine
from harness.targets import Target

ROOT = Path(__file__).parent.parent
NATIVE = "acme_loudness.vectorised"
TARGET = Target("acme_loudness", "any", "rtf", "the acme manual, page 12", "stated", implementation="vectorised", at_most=1.0)


@pytest.fixture
def author(tmp_path):
    """The outsider's package in its own repository, used from its sources, with asv's configuration and no history yet."""
    made = Project(tmp_path, tmp_path / "project" / "src")
    shutil.copytree(ROOT / "tests" / "thirdparty", made.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "asv.conf.json", made.folder)
    (made.folder / ".gitignore").write_text(".harness/\n.asv/\n__pycache__/\n")
    described = tomllib.loads((made.folder / "pyproject.toml").read_text())["project"]
    metadata = made.plugins[0] / "acme_loudness-2.3.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: {described['version']}\n")
    groups = described["entry-points"].items()
    (metadata / "entry_points.txt").write_text(
        "".join(f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items()) for group, entries in groups)
    )
    git(made.folder, "init", "-q", "-b", "main")
    commit(made)
    return made


def commit(project, text="", file="src/acme_loudness/more.py"):
    """Commit the project as it is, with a line more of code; the commit's name."""
    with (project.folder / file).open("a") as more:
        more.write(f"# {text}\n")
    git(project.folder, "add", ".")
    git(project.folder, "commit", "-q", "-m", text or "code")
    return git(project.folder, "rev-parse", "HEAD")


def measured(project, *commits, slower=(), machine=None, cases=("quick", "minute")):
    """Write what was measured at commits: the reference in 0.1 s, vectorised in 0.01 s, at the commits `slower` in 0.012 s."""
    records = []
    for number, name in enumerate(commits):
        for case in cases:
            common = {
                "component": "acme_loudness", "case": case, "machine": (machine or this_machine()).name, "commit": name, "dirty": False,
                "commit_date_ms": int(git(project.folder, "show", "-s", "--format=%ct000", name)), "session": f"s{number:03d}",
                "environment": {"python": "3.11.7", "packages": ""},
            }  # fmt: skip
            seconds = (0.012 if name in slower else 0.01) * (1 + 0.001 * (number % 3))
            records += launches("reference", 0.1, **common) + launches("vectorised", seconds, **common)
            records += launches("sloppy", 0.02, **common)
            records += launches("vectorised", seconds, variant={"precision": "float32"}, exact=False, **common)
    return history.project(records, project.folder / "baselines", machine or this_machine(), [TARGET])


@pytest.mark.long
@pytest.mark.timeout(600)
def test_an_authors_own_history_is_measured_and_judged_without_ours(author):
    undecided = {0, 3}  # a busy machine gives parity and ratios, but no times
    ran = ended(author.start("run", NATIVE, "--record"), 400)
    assert ran.code in undecided, ran
    said = author.run("judge", "--history", NATIVE)
    assert said.code in undecided, said
    head = git(author.folder, "rev-parse", "HEAD")
    assert f"judged is commit {head[:8]}, HEAD" in said.flat
    assert "vectorised" in said.flat
    assert "sloppy" not in said.flat
    assert not [name for name in ("spectrogram", "dbn") if name in said.flat]
    whole = author.run("judge", "--history")
    assert whole.code == 5, "sloppy was not measured"
    assert "judged is what acme-loudness registers" in whole.flat
    assert "acme_loudness.sloppy on quick" in whole.flat
    assert not [name for name in ("spectrogram", "dbn") if name in whole.flat]


def test_patterns_choose_and_ours_are_missing_in_an_authors_history(author):
    measured(author, git(author.folder, "rev-parse", "HEAD"))
    assert author.here("judge", "--history").code == 0
    assert author.here("judge", "--history", "acme_*").code == 0
    assert author.here("judge", "--history", "acme_loudness", "dbn.native").code == 5
    assert "no results" in one_line_after_trend(author.here("judge", "--history", "dbn.native"))
    assert "nothing matches 'acme.*'" in one_line(author.here("judge", "--history", "acme.*"))


def one_line_after_trend(said):
    assert said.code == 5
    (line,) = said.err.splitlines()
    return line


def test_a_head_that_was_never_measured_is_not_green(author):
    old = git(author.folder, "rev-parse", "HEAD")
    measured(author, old)
    for behind in ("1 commit behind it", "2 commits behind it"):
        head = commit(author, behind)
        said = author.here("judge", "--history")
        assert said.code == 5
        assert f"HEAD ({head[:8]}) was never measured: what is judged is {old[:8]}, {behind}" in said.flat
        assert "harness run --record" in said.flat
    on_purpose = author.here("judge", "--history", "--commit", old[:8])
    assert on_purpose.code == 0
    assert f"judged is commit {old[:8]}, not HEAD ({head[:8]})" in on_purpose.flat
    measured(author, head)
    said = author.here("judge", "--history", "--json", "v.json")
    assert said.code == 0
    assert f"judged is commit {head[:8]}, HEAD" in said.flat
    report = json.loads((author.folder / "v.json").read_text())
    assert report["exit_code"] == 0
    assert f"judged is commit {head[:8]}, HEAD" in report["notes"]


def test_a_commit_of_history_alone_is_no_newer_code(author):
    old = git(author.folder, "rev-parse", "HEAD")
    measured(author, old)
    git(author.folder, "add", ".")
    git(author.folder, "commit", "-q", "-m", "history")
    said = author.here("judge", "--history")
    assert said.code == 0
    assert f"judged is commit {old[:8]}, the code of HEAD" in said.flat
    (author.folder / "src" / "acme_loudness" / "__init__.py").write_text("# changed\n")
    assert "what is changed and not committed was never measured" in author.here("judge", "--history").flat


def test_another_branch_is_neither_judged_nor_in_the_trend(author):
    commits = [git(author.folder, "rev-parse", "HEAD"), *(commit(author, str(number)) for number in range(4))]
    git(author.folder, "checkout", "-q", "-b", "side")
    side = commit(author, "aside")
    measured(author, *commits, side, slower=[side])
    red = author.here("judge", "--history")
    assert red.code == 1
    assert f"judged is commit {side[:8]}, HEAD" in red.flat
    git(author.folder, "checkout", "-q", "main")
    said = author.here("judge", "--history")
    assert said.code == 0
    assert f"judged is commit {commits[-1][:8]}, HEAD" in said.flat
    assert "no change of level in the history" in said.flat


def test_a_shallow_clone_says_so_and_is_not_green(author, tmp_path):
    old = git(author.folder, "rev-parse", "HEAD")
    measured(author, old)
    head = commit(author, "newer")
    git(tmp_path, "clone", "-q", "--depth", "1", author.folder.as_uri(), "clone")
    clone = Project.__new__(Project)
    clone.folder, clone.plugins, clone.variables = tmp_path / "clone", author.plugins, author.variables
    said = clone.here("judge", "--history")
    assert said.code == 5
    assert f"HEAD ({head[:8]}) was never measured: what is judged is {old[:8]}, which this clone does not know" in said.flat


@pytest.mark.parametrize(("since", "code"), [(1, 1), (3, 1), (6, 0)])
def test_a_slow_down_is_red_in_every_report_until_it_is_the_level(author, since, code):
    commits = [git(author.folder, "rev-parse", "HEAD"), *(commit(author, str(number)) for number in range(9))]
    measured(author, *commits, slower=commits[-since:])
    said = author.here("judge", "--history", "--json", "v.json", "--junit", "v.xml", "--markdown", "v.md")
    assert said.code == code, said.out
    assert re.search(rf"step \+(20\.\d|19\.\d)% at {commits[-since][:8]} \(after {commits[-since - 1][:8]}; ", said.flat)
    report = json.loads((author.folder / "v.json").read_text())
    assert report["exit_code"] == code
    rows = {row["row"]: [a for a in row["answers"] if a["question"] == "regression"] for row in report["rows"] if row["case"] == "quick"}
    assert bool(rows["vectorised"]) == bool(code)
    assert not rows["reference"]
    if code:
        for text in (rows["vectorised"][0]["message"], *((author.folder / name).read_text() for name in ("v.xml", "v.md"))):
            assert f"at {commits[-since][:8]} (after {commits[-since - 1][:8]}" in text


def test_trends_of_other_machines_are_drawn_and_not_judged(author):
    commits = [git(author.folder, "rev-parse", "HEAD"), *(commit(author, str(number)) for number in range(5))]
    other = dataclasses.replace(this_machine(), brand="Other CPU")
    measured(author, *commits)
    measured(author, *commits, slower=commits[-2:], machine=other)
    alone = author.here("judge", "--history")
    assert alone.code == 0
    assert other.name not in alone.out
    everyone = author.here("judge", "--history", "--machine", "all")
    assert everyone.code == 0
    for name in (other.name, this_machine().name):
        assert f"trends on {name}" in everyone.out
    assert everyone.out.count("drawn, not judged here") == 1
    assert f"at {commits[-2][:8]}" in everyone.out
    one = author.here("judge", "--history", "--machine", other.name)
    assert one.code == 0
    assert f"trends on {this_machine().name}" not in one.out
    message = one_line(author.here("judge", "--history", "--machine", "nowhere"))
    assert f"no machine 'nowhere' in {author.folder / 'baselines'}" in message


def test_a_machine_without_history_draws_the_others_and_is_not_green(author):
    other = dataclasses.replace(this_machine(), brand="Other CPU")
    measured(author, git(author.folder, "rev-parse", "HEAD"), machine=other)
    said = author.here("judge", "--history", "--machine", "all")
    assert f"trends on {other.name}" in said.out
    assert "no results; commits with results: none" in one_line_after_trend(said)


def test_publish_builds_the_site_and_names_what_asv_drops(author):
    assert "nothing to publish" in one_line(author.here("publish"))
    head = git(author.folder, "rev-parse", "HEAD")
    git(author.folder, "checkout", "-q", "-b", "side")
    aside = commit(author, "aside")
    measured(author, head, aside)
    said = author.run("publish")
    assert said.code == 0, said
    html = author.folder / ".asv" / "html"
    page, site = (html / "index.html").read_text(), (html / "asv" / "index.html").read_text()
    assert "vectorised" in page
    assert '<a href="asv/index.html">' in page
    assert '<a href="../index.html">Verdicts</a>' in site
    assert "asv preview" in said.flat
    assert f"{aside[:8]}: on no branch that asv.conf.json names" in said.flat
