"""The documentation: every command line in it is one that the program takes, links lead somewhere, marked scripts really run."""

import ast
import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import fresh
import pytest

import implementations
from harness.cli import parser

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("README.md"))]
STANDS_FOR = {"N": "1", "S": "1", "SECONDS": "1", "MINUTES": "1", "COMMAND": "run"}
"""Words in prose for what a user would write."""


def commands(text):
    """Every `harness ...` of a page: in fenced blocks up to a shell operator, in running text between backticks."""
    fenced = re.findall(r"^ *```(?:sh|yaml|bash)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    (harness .*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    running = re.findall(r"`(harness [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    lines = [line for block in fenced for line in block.replace("\\\n", " ").splitlines()]
    found = [line[match.start() :] for line in lines if (match := re.search(r"(?<![-\w./])harness (?=[a-z-])", line))]
    return [re.split(r" \|\| | && | \| | > |;", line)[0] for line in (*found, *indented, *running)]


def arguments(command):
    """The words after `harness`, with what is optional in prose given and what stands for something replaced by it."""
    words = shlex.split(re.sub(r"[\[\]]", "", command), comments=True)[1:]
    given = [STANDS_FOR.get(word, word) for word in words if word != "..."]
    return given if len(given) > 1 else [*given, "--help"]  # a command is named; whether it exists is all there is to ask


def refused(words):
    """Why the program's own parser refuses the words, or ""."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            parser().parse_args(words)
        except SystemExit as error:
            return said.getvalue() if error.code else ""
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_is_one_that_the_program_takes(page):
    text = page.read_text(encoding="utf-8")
    wrong = {command: why for command in commands(text) if (why := refused(arguments(command)))}
    assert not wrong


def test_the_check_sees_commands_and_refuses_wrong_ones():
    assert commands("see `harness list`\n```sh\nharness run dbn --case quick || test $? -eq 3  # so\n```\n") == [
        "harness run dbn --case quick",
        "harness list",
    ]
    assert refused(["run", "--no-such-option"])
    assert refused(["no-such-command"])
    assert sum(len(commands(page.read_text(encoding="utf-8"))) for page in PAGES) > 60


def test_every_command_of_the_program_is_in_the_documentation():
    (under,) = [action for action in parser()._actions if hasattr(action, "choices") and action.choices]
    told = {arguments(command)[0] for page in PAGES for command in commands(page.read_text(encoding="utf-8"))}
    assert set(under.choices) <= told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_is_in_the_navigation():
    import yaml

    def files(entries):
        for entry in entries:
            value = next(iter(entry.values()))
            yield from files(value) if isinstance(value, list) else (value,)

    listed = list(files(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_names_what_is_there(page):
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(("harness", "implementations")):
                source = Path(str(importlib.util.find_spec(str(node.module)).origin)).read_text(encoding="utf-8")
                assert [alias.name for alias in node.names if not re.search(rf"\b{alias.name}\b", source)] == []
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "implementations":
                assert node.attr in implementations.__all__


def test_the_architecture_names_what_is_there():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`([\w/.]+)`", row)}
    assert {name for name in named if not (ROOT / "harness" / name).exists() and not (ROOT / name).exists()} == set()
    assert {f"{path.parent.name}/" for path in (ROOT / "harness").glob("*/__init__.py")} <= named


@pytest.mark.long
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "architecture.svg").is_file()
    pages = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html"))
    assert not re.findall(r'(?:src|href)="(?:https?:)?//[^"]+\.(?:js|css)', pages), "a page loads scripts or styles from elsewhere"


def scripts(text):
    """The shell blocks of a page."""
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


MARKED = re.compile(r"^<!-- run -->\n```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
"""A block that really runs, in a folder and environment of its own."""


def test_blocks_are_marked_to_run():
    assert sum(len(MARKED.findall(page.read_text(encoding="utf-8"))) for page in PAGES) >= 3


@pytest.mark.long
@pytest.mark.parametrize("page", [page for page in PAGES if MARKED.search(page.read_text(encoding="utf-8"))], ids=lambda page: page.name)
def test_marked_blocks_run(page, tmp_path):
    variables = fresh.environment(tmp_path / "venv")
    for block in MARKED.findall(page.read_text(encoding="utf-8")):
        code, said = fresh.run(["bash", "-euo", "pipefail", "-c", block], tmp_path, variables)
        assert code == 0, said


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_tutorial_runs_as_it_stands(tmp_path):
    """All its blocks, one after another in one shell that stops at the first error, in a fresh folder and environment."""
    variables = fresh.environment(tmp_path / "venv")
    folder = tmp_path / "folder"
    folder.mkdir()
    script = "".join(scripts((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")))
    code, said = fresh.run(["bash", "-euo", "pipefail", "-c", script], folder, variables, seconds=850)
    assert code == 0, said
    made = folder / "acme_energy"
    assert {"difference.svg", "flame.svg", "explanation.txt"} <= {path.name for path in (made / "profile").iterdir()}
    changed = (made / "profile" / "explanation.txt").read_text().partition("what changed")[2].splitlines()
    assert "src/acme_energy/fast.py" in changed[1] or "acme_energy/fast.py" in changed[1]
    assert "where: " in said, "the gate names what it was"
    assert (folder / "acme_mine" / "pyproject.toml").is_file()
