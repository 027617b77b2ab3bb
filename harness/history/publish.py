"""asv around the history: the name under which it knows this machine, and its dashboards."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.files import write_atomically
from harness.history.files import read, result_files
from harness.history.points import Damaged, HistoryError, NoHistory
from harness.history.results import MACHINE_VERSION, VERSION, file_name, load

if TYPE_CHECKING:
    from harness.machine import Machine

CONFIGURATION = "asv.conf.json"


@dataclass(frozen=True)
class Registration:
    """Where asv now finds this machine. plain: `asv run` uses it by itself; otherwise `note` says what to add, and why."""

    path: Path
    name: str
    plain: bool
    note: str = ""


@dataclass(frozen=True)
class Published:
    """The dashboards. dropped: commits that asv left out because no branch of asv.conf.json holds them."""

    html: Path
    dropped: tuple[str, ...] = ()
    renamed: tuple[Path, ...] = ()


def entry(machine: Machine) -> dict[str, str]:
    """What asv's machine.json says about a machine: identity only, nothing that changes across reboots (asv's own says the kernel)."""
    return {
        "machine": machine.name,
        "os": machine.system,
        "arch": machine.architecture,
        "cpu": machine.brand or f"{machine.vendor} family {machine.family} model {machine.models[0]}",
        "num_cpu": str(machine.logical_cores),
        "ram": f"{machine.memory_gib:g} GiB",
    }


def register_machine(machine: Machine, path: Path | None = None, *, host: str | None = None) -> Registration:
    """Tell asv the name of this machine in the user's machine file, so that `asv run` writes into the folder that we judge.

    asv looks for the host's name, and with exactly one entry it takes that entry on any host: times of a second machine
    would silently join this one's. So the name is entered twice, under itself and under the host, unless the user already
    describes the host otherwise.
    """
    path = Path.home() / ".asv-machine.json" if path is None else path
    host = platform.node() if host is None else host
    body: dict[str, Any] = load(path, MACHINE_VERSION) if path.is_file() else {}
    own = entry(machine)
    theirs = body.get(host)
    taken = theirs is not None and theirs.get("machine") != machine.name
    body[machine.name] = own
    if not taken:
        body[host] = own
    write_atomically(path, json.dumps({**body, "version": MACHINE_VERSION}, indent=4, sort_keys=True) + "\n")
    note = f"{path} already calls {host} {theirs.get('machine')!r}: use `asv run --machine {machine.name}`" if taken and theirs else ""
    return Registration(path, machine.name, not taken, note)


def project_folder(start: Path | None = None) -> Path:
    """The folder of the nearest asv.conf.json around `start` (default: the current directory)."""
    start = (Path.cwd() if start is None else start).absolute()
    for folder in (start, *start.parents):
        if (folder / CONFIGURATION).is_file():
            return folder
    raise NoHistory(f"no {CONFIGURATION} in {start} or above it: run inside a project that has one")


def results_dir(start: Path | None = None) -> Path:
    """The results_dir of the nearest asv.conf.json around `start` (default: the current directory)."""
    folder = project_folder(start)
    return folder / str(_config(folder)["results_dir"])


def html_dir(start: Path | None = None) -> Path:
    """The html_dir of the nearest asv.conf.json around `start` (default: the current directory)."""
    folder = project_folder(start)
    return folder / str(_config(folder)["html_dir"])


def machines(results_dir: Path) -> list[str]:
    """The machines that a history knows."""
    return sorted(path.parent.name for path in results_dir.glob("*/machine.json"))


def publish(repo: Path, into: Path | None = None, *, back: str = "") -> Published:
    """Build asv's site for the repository and return its first page; HistoryError carries asv's own words when it fails.

    into: the folder that asv empties and fills (default: html_dir of its configuration). back: a page that its navigation links to.
    asv drops commits outside its branches and still succeeds: those are named.
    """
    config = _config(repo)
    folder = repo / config["html_dir"] if into is None else into.absolute()
    results, html = repo / config["results_dir"], folder / "index.html"
    if into is not None and folder.exists() and any(folder.iterdir()) and not (folder / "asv.js").is_file():
        raise HistoryError(f"{folder}: expected asv's site or nothing, found other files; asv would delete them: choose another folder")
    renamed = without_paths(results)
    commits = {point.commit for machine in machines(results) for point in read(results, machine)}
    if not commits:
        raise NoHistory(f"{results}: nothing to publish, no measured commit; run `harness run --record` on a clean commit, or `asv run`")
    kept = set()
    for branch in config["branches"]:
        listed = _run(["git", "rev-list", branch, "--"], repo)
        if listed.returncode:
            mend = f"fetch it (git fetch origin {branch}:{branch}), or name yours in `branches` there"
            raise HistoryError(f"{repo / 'asv.conf.json'} names the branch {branch!r}, which git does not know here: {mend}")
        kept |= set(listed.stdout.split())
    if not commits & kept:
        raise HistoryError(f"none of the {len(commits)} measured commits lies on {', '.join(config['branches'])}: the site would be empty")
    # --no-pull: publishing needs no network; a closed stdin: asv cannot ask anything.
    ran = _run([sys.executable, "-m", "asv", "publish", "--no-pull", "--html-dir", str(folder)], repo)
    if ran.returncode or not html.is_file():
        last = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-8:])
        raise HistoryError(f"`asv publish` ended with exit status {ran.returncode} and no page at {html}:\n{last}")
    if back:
        _link_back(html, back)
    return Published(html, tuple(sorted(commits - kept)), tuple(after for _, after in renamed))


def _link_back(html: Path, page: str) -> None:
    """Put a link to a page into the navigation of asv's site."""
    text, mark = html.read_text(encoding="utf-8"), '<li id="nav-li-"'
    if mark not in text:
        raise HistoryError(f"{html}: expected asv's navigation ({mark}), found none; this version of asv builds another page: report it")
    write_atomically(html, text.replace(mark, f'<li><a href="{page}">Verdicts</a></li>\n\t{mark}', 1))


def without_paths(results_dir: Path) -> list[tuple[Path, Path]]:
    """Rename result files whose environment names a path, as `asv run --python=same` leaves them: (before, after).

    The interpreter's path is replaced by its version as asv's own virtualenv environments state it ("3.11").
    """
    renamed = []
    for path in (path for marker in sorted(results_dir.glob("*/machine.json")) for path in result_files(marker.parent)):
        try:
            body = load(path, VERSION)
        except Damaged:
            continue  # whoever judges it is told
        python = str(body.get("python", ""))
        if "/" not in python and "\\" not in python:
            continue
        version = _python_version(python)
        body.update(python=version, env_name=f"existing-py{version}", params={**body["params"], "python": version})
        target = path.with_name(file_name(body["commit_hash"], body["env_name"]))
        if target.is_file():
            body["results"] = {**load(target, VERSION)["results"], **body["results"]}
        write_atomically(target, json.dumps({**body, "version": VERSION}))
        path.unlink()
        renamed.append((path, target))
    return renamed


def _python_version(executable: str) -> str:
    """ "3.11" of an interpreter's path: asked for in its name, else this interpreter's own version."""
    found = re.search(r"(\d+\.\d+)$", executable.removesuffix(".exe"))
    return found[1] if found else ".".join(platform.python_version_tuple()[:2])


def _config(repo: Path) -> Mapping[str, Any]:
    path = repo / CONFIGURATION
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return {name: body[name] for name in ("results_dir", "html_dir", "branches")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HistoryError(f"{path}: expected asv's configuration with results_dir, html_dir and branches, found {error!r}") from None


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PAGER": "cat", "GIT_TERMINAL_PROMPT": "0"}
    return subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
