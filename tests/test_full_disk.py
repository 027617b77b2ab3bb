"""A disk that takes no more, at any place: one clear line, no traceback, and the table of what was measured is still shown."""

import errno
import resource

import pytest
from doors import TOY, TOY_ENTRIES, Project


@pytest.mark.parametrize("most_bytes", [0, 2000, 6000, 20_000])
def test_a_run_on_a_full_disk_shows_its_table_and_is_no_success(tmp_path, most_bytes):
    project = Project(tmp_path)
    project.plugin("toy", TOY, TOY_ENTRIES)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))  # noqa: E731 (inherited by the workers too)
    said = project.run("run", "toy.fast", "--launches", "2", "--json", "v.json", "--markdown", "v.md", preexec_fn=limit)
    assert said.code == 2, said
    assert "Traceback" not in said.err + said.out
    complaints = [line for line in said.err.splitlines() if line.startswith("harness: ")]
    assert complaints
    assert all("File too large" in line for line in complaints)
    if most_bytes:
        assert "toy" in said.out
        assert "exit code" in said.out
        # What is on disk is whole, and says less than was measured rather than something else.
        assert project.here("judge").code in (0, 5)
    else:
        assert said.out == "" or "exit code" not in said.out


def test_history_that_cannot_be_written_costs_neither_table_nor_records(tmp_path):
    project = Project(tmp_path)
    project.plugin("toy", TOY, TOY_ENTRIES)
    (project.folder / "asv.conf.json").write_text('{"results_dir": "baselines", "html_dir": "html", "branches": ["main"]}')
    (project.folder / "baselines").write_text("a file where the folder should be")
    said = project.here("run", "toy.fast", "--launches", "1", "--record")
    assert said.code != 0
    assert "exit code" in said.out
    assert len(project.lines()) == 3
    assert (project.folder / "baselines").read_text() == "a file where the folder should be"


def test_history_on_a_read_only_disk_is_one_line_that_says_what_is_kept(tmp_path, monkeypatch):
    project = Project(tmp_path)
    project.plugin("toy", TOY, TOY_ENTRIES)
    (project.folder / "asv.conf.json").write_text('{"results_dir": "baselines", "html_dir": "html", "branches": ["main"]}')

    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system", "baselines/m")

    monkeypatch.setattr("harness.history.project", read_only)
    said = project.here("run", "toy.fast", "--launches", "1", "--record")
    assert said.code == 2
    assert "exit code" in said.out
    session = project.lines()[0]["session"]
    wanted = f"baselines/m: Read-only file system; the history is as it was, what was measured is kept in session {session}"
    assert wanted in " ".join(said.err.split())
