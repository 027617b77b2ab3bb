"""asv around the history: machines, show, compare, publish; the real asv runs."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from histories import COMMITS, HERE, TARGETS, git, repository, session

from harness import history
from harness.history import results
from harness.history.publish import without_paths
from harness.measure.commit import commit_of


@pytest.fixture(name="repository")
def _repository(tmp_path):
    return repository(tmp_path)


def test_asv_finds_this_machine_by_its_host_and_no_other_host_takes_it(tmp_path):
    from asv.machine import MachineCollection
    from asv.util import UserError

    path = tmp_path / "asv-machine.json"
    registered = history.register_machine(HERE, path, host="builder")
    assert registered.plain
    assert MachineCollection.load("builder", _path=path)["machine"] == HERE.name
    assert MachineCollection.load(HERE.name, _path=path) == {name: str(value) for name, value in history.entry(HERE).items()}
    with pytest.raises(UserError, match="No information stored about machine 'elsewhere'"):
        MachineCollection.load("elsewhere", _path=path)
    assert history.register_machine(HERE, path, host="builder").plain


def test_a_users_own_name_for_the_host_is_kept(tmp_path):
    path = tmp_path / "asv-machine.json"
    path.write_text(json.dumps({"builder": {"machine": "my-box"}, "version": 1}))
    registered = history.register_machine(HERE, path, host="builder")
    assert not registered.plain
    assert f"asv run --machine {HERE.name}" in registered.note
    assert json.loads(path.read_text())["builder"] == {"machine": "my-box"}


def test_a_damaged_machine_file_is_named(tmp_path):
    path = tmp_path / "asv-machine.json"
    path.write_text("{")
    with pytest.raises(history.HistoryError, match=r"asv-machine\.json: expected JSON"):
        history.register_machine(HERE, path)




def asv(folder, *arguments):
    command = [sys.executable, "-m", "asv", *arguments]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_asv_shows_compares_and_publishes_what_we_wrote(repository):
    shown = asv(repository, "show", "HEAD")
    assert shown.returncode == 0, shown.stderr
    assert "spectrogram.rtf.track_upper" in shown.stdout
    compared = asv(repository, "compare", "HEAD~1", "HEAD")
    assert compared.returncode == 0, compared.stderr
    assert "spectrogram.seconds_per_call.track_ratio" in compared.stdout
    published = history.publish(repository)
    assert published.html == repository / ".asv" / "html" / "index.html"
    assert published.dropped == ()
    found = (repository / ".asv" / "html" / "graphs").rglob("spectrogram.rtf.track_upper.json")
    (graph,) = [path for path in found if "summary" not in path.parts]
    assert len(json.loads(graph.read_text())) == 5


def test_commits_of_one_second_are_in_the_repositorys_order(repository):
    commits = git(repository, "rev-list", "--reverse", "HEAD").split()
    for path in (repository / "baselines" / HERE.name).glob("*-py3*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "date": 1_700_000_000_000}))
    assert list(dict.fromkeys(p.commit for p in history.read(repository / "baselines", HERE.name))) == commits
    for name, commit in [(None, commits[-1]), ("HEAD~1", commits[-2]), ("main~4", commits[0]), (commits[1][:7], commits[1])]:
        assert history.points_for_judging(repository / "baselines", HERE, name).commit == commit


def test_publish_names_the_commits_that_asv_drops(repository):
    git(repository, "checkout", "-q", "-b", "side")
    git(repository, "commit", "-q", "--allow-empty", "-m", "aside")
    commit = git(repository, "rev-parse", "HEAD")
    history.project([dataclasses.replace(r, commit=commit) for r in session(9)], repository / "baselines", HERE, TARGETS)
    assert history.publish(repository).dropped == (commit,)


def test_the_site_links_to_the_page_beside_it_and_deletes_no_other_folder(repository, tmp_path):
    into = tmp_path / "public" / "asv"
    assert history.publish(repository, into, back="../index.html").html == into / "index.html"
    assert '<li><a href="../index.html">Verdicts</a></li>' in (into / "index.html").read_text()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("the only copy")
    with pytest.raises(history.HistoryError, match=r"mine: expected asv's site or nothing, found other files; asv would delete them"):
        history.publish(repository, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").is_file()


def test_publish_refuses_an_empty_site(tmp_path, repository):
    config = json.loads((repository / "asv.conf.json").read_text())
    (repository / "asv.conf.json").write_text(json.dumps({**config, "branches": ["nowhere"]}))
    with pytest.raises(history.HistoryError, match="names the branch 'nowhere', which git does not know here: fetch it"):
        history.publish(repository)
    git(repository, "checkout", "-q", "--orphan", "fresh")
    git(repository, "commit", "-q", "-m", "unrelated")
    (repository / "asv.conf.json").write_text(json.dumps({**config, "branches": ["fresh"]}))
    with pytest.raises(history.HistoryError, match="none of the 5 measured commits lies on fresh"):
        history.publish(repository)
    (repository / "asv.conf.json").write_text(json.dumps({**config, "results_dir": "empty"}))
    with pytest.raises(history.HistoryError, match="nothing to publish"):
        history.publish(repository)


def test_paths_in_environment_names_are_removed(tmp_path):
    (path,) = history.project(session(), tmp_path, HERE, TARGETS).files
    body = json.loads(path.read_text())
    python = "/home/someone/venv/bin/python3.12"
    leaky = path.with_name(f"{COMMITS[0][:8]}-existing-py_home_someone_venv_bin_python3.12.json")
    leaky.write_text(json.dumps({**body, "env_name": leaky.stem[9:], "python": python, "params": {**body["params"], "python": python}}))
    history.project(session(1), tmp_path, HERE, TARGETS)
    assert not leaky.exists(), "writing history leaves no path behind"
    leaky.write_text(json.dumps({**body, "env_name": leaky.stem[9:], "python": python, "params": {**body["params"], "python": python}}))
    ((before, after),) = without_paths(tmp_path)
    assert (before, after.name) == (leaky, f"{COMMITS[0][:8]}-existing-py3.12.json")
    assert not leaky.exists()
    assert "someone" not in after.read_text()
    assert without_paths(tmp_path) == []
    assert len({point.environment for point in history.read(tmp_path, HERE.name)}) == 2


def test_file_names_are_asvs():
    from asv.results import get_filename

    for name in ("py3.11-torch", "x" * 200):
        assert results.file_name(COMMITS[0], name) == Path(get_filename("m", COMMITS[0], name)).name


def test_writing_history_leaves_its_commit_clean(repository):
    code = repository / "code.py"
    code.write_text("1")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "with history")
    (repository / "baselines" / "benchmarks.json").write_text("{}")
    commit_of.cache_clear()
    assert (commit_of(str(code)).dirty, commit_of(str(code)).name) == (False, git(repository, "rev-parse", "HEAD"))
    code.write_text("2")
    commit_of.cache_clear()
    assert commit_of(str(code)).dirty


def test_the_results_folder_is_that_of_the_nearest_configuration(repository):
    inside = repository / "some" / "folder"
    inside.mkdir(parents=True)
    assert history.results_dir(inside) == repository / "baselines"
    (inside / "asv.conf.json").write_text("{")
    with pytest.raises(history.HistoryError, match=r"folder.asv\.conf\.json: expected asv's configuration"):
        history.results_dir(inside)
    (inside / "asv.conf.json").unlink()
    (repository / "asv.conf.json").unlink()
    with pytest.raises(history.HistoryError, match=r"no asv\.conf\.json in"):
        history.results_dir(inside)
