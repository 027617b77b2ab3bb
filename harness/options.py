"""What a command line asks for, checked before anything runs: wrong, useless or impossible wishes are ConfigurationErrors."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.settings import NAMES, ConfigurationError, Settings, parse

if TYPE_CHECKING:
    from pathlib import Path

    from harness.record import Plan
    from harness.report import Kind

REPORTS: tuple[Kind, ...] = ("json", "junit", "markdown")
PAGE = "html"
"""The report that is made of more than verdicts."""


def settings(options: argparse.Namespace) -> Settings:
    """The settings given on the command line."""
    texts = {name: getattr(options, f"setting_{name}") for name in NAMES}
    return Settings(**{name: parse(name, text) for name, text in texts.items() if text is not None})


def sweep(texts: Sequence[str]) -> Mapping[str, list[Any]]:
    """`threads=1,2` as {"threads": [1, 2]}."""
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise ConfigurationError(f"--sweep: expected NAME=A,B such as threads=1,2, found {text!r}")
        if name in found:
            raise ConfigurationError(f"--sweep: {name} is given twice; write all its values after one, such as {name}=A,B")
        found[name] = [parse(name, value) for value in values.split(",")]
    return found


def check_run(options: argparse.Namespace) -> None:
    """Refuse options that would change nothing: what was asked for and not done must not look done."""
    if options.resume is not None:
        settings_ = tuple(f"setting_{name}" for name in NAMES)
        useless: tuple[str, ...] = ("patterns", "only", "case", "seed", "sweep", "thorough", "seconds", "launches", "profile", *settings_)
        _refuse(options, "means nothing with --resume, which goes on with the plan of the session", *useless)
        return
    if options.only == "settings":
        useless = ("case", "seed", "sweep", "input", "thorough", "launches", "record", *REPORTS, PAGE)
        _refuse(options, "means nothing with --only settings, which flips each setting on the case that its component names", *useless)
    if options.only == "realtime":
        useless = ("case", "seed", "sweep", "input", "thorough", "launches", "record")
        _refuse(options, "means nothing with --only realtime, which plays noise at every size of block (--audio-buffer N: one)", *useless)
        if options.seconds is not None and not 0.5 <= options.seconds <= 24 * 3600:
            raise ConfigurationError(f"--seconds: expected 0.5 to 86400, found {options.seconds:g}")
        return
    _refuse(options, "needs --only realtime", "seconds")
    if options.only == "parity":
        _refuse(options, "means nothing with --only parity, which takes no times", "launches", "record")
    else:
        _refuse(options, "needs --only parity: times are taken on all inputs of a case, so that none can be replayed", "seed")
    if options.input is not None:
        _refuse(options, "means nothing with --input, whose audio is the only case", "case", "thorough", "seed")
    if options.seed is not None and not 0 <= options.seed < 1 << 32:
        raise ConfigurationError(f"--seed: expected a whole number from 0 to 4294967295, found {options.seed}")


def check_gate(options: argparse.Namespace) -> None:
    """Refuse what leaves nothing to compare, and a budget in which nothing can be measured."""
    if options.self_test and options.quality is not None:
        raise ConfigurationError("--self-test and --quality: expected one of them")
    if options.quality is not None and options.quality < 1:
        raise ConfigurationError(f"--quality: expected how many verdicts, at least 1, found {options.quality}")
    if options.self_test or options.quality is not None:
        which = "--self-test" if options.self_test else "--quality"
        useless = ("base", "all", "case", "no_explain", "json", "junit", PAGE)
        _refuse(options, f"means nothing with {which}, which gates specimens of its own", *useless)
    elif options.base is None:
        raise ConfigurationError("--base: expected a commit to compare the working tree with, found none; in a pull request: its target")
    else:
        _check_repository(f"--base {options.base}")
    if not options.patience > 0:
        raise ConfigurationError(f"--patience: expected seconds, more than 0, found {options.patience:g}")
    if options.budget is not None and not 0 < options.budget < 24 * 60:
        raise ConfigurationError(f"--budget: expected minutes, more than 0 and less than a day, found {options.budget:g}")


def _check_repository(given: str) -> None:
    """A commit needs a git repository around the project."""
    from harness import project
    from harness.history.files import git

    found = project.find()
    if found is not None and not git(found.parent, "rev-parse", "--git-dir"):
        raise ConfigurationError(f"{given}: expected a git repository around {found.parent}, found none; git init, and commit a base")


def check_explain(options: argparse.Namespace) -> None:
    """Refuse a time in which nothing can be sampled, and a place that is no folder, before minutes are spent."""
    if not 1 <= options.seconds <= 600:
        raise ConfigurationError(f"--seconds: expected 1 to 600, found {options.seconds:g}")
    if options.output is not None and options.output.exists() and not options.output.is_dir():
        raise ConfigurationError(f"--output {options.output}: expected a folder, found a file")


def check_judge(options: argparse.Namespace) -> None:
    """Refuse what only the judging of a history knows."""
    if options.history:
        return
    _refuse(options, "needs --history", "results", "commit", "machine")
    if len(options.names) > 1:
        raise ConfigurationError(f"expected one session, found {len(options.names)}: {', '.join(options.names)}; patterns need --history")
    _refuse(options, "needs --history: a session was measured under its own settings", *(f"setting_{name}" for name in NAMES))


def _refuse(options: argparse.Namespace, reason: str, *names: str) -> None:
    words = {"patterns": "a PATTERN"}
    given = [name.removeprefix("setting_").replace("_", "-") for name in names if _is_given(getattr(options, name))]
    if given:
        raise ConfigurationError(f"{', '.join(words.get(name, f'--{name}') for name in given)} {reason}")


def check_files(options: argparse.Namespace) -> None:
    """Make sure that reports can be written before minutes are spent on what they are to say."""
    for kind in (*REPORTS, PAGE):
        path = getattr(options, kind, None)
        if path is not None and kind == PAGE:
            from harness.report import html

            html.need()
        if path is not None and path.is_dir():
            raise ConfigurationError(f"--{kind} {path}: expected a file to write, found a folder")
        if path is not None:
            _make_folder(f"--{kind} {path}", path.parent)


def _make_folder(given: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        raise ConfigurationError(f"{given}: cannot make the folder {folder} ({error.strerror}); name one that can be written") from None
    if not writable:
        raise ConfigurationError(f"{given}: the folder {folder} cannot be written; name another")


def check_folder(path: Path | None) -> None:
    """A folder to publish into is new, or a folder."""
    if path is not None and path.exists() and not path.is_dir():
        raise ConfigurationError(f"-o {path}: expected a folder to write into, found a file")


def check_audio(audio: Path | None, plan: Plan) -> None:
    """A resumed session needs the audio that it was begun with: only what it holds was recorded, not where it lies."""
    from harness.measure import audio_case

    own = next((item.case for item in plan.planned if item.case.startswith("input-")), "")
    if audio is None and own:
        raise ConfigurationError(f"session {plan.session} was begun with the user's own audio: give the same --input FILE again")
    if audio is not None and (found := audio_case(audio)) != own:
        raise ConfigurationError(f"--input {audio}: expected the audio of session {plan.session} ({own or 'none'}), found {found}")


def check_honoured(names: Iterable[str], plan: Plan) -> None:
    """Every setting of the command line turns something; threads pins the libraries of any row."""
    dead = [name for name in dict.fromkeys(names) if name != "threads" and not any(name in item.settings for item in plan.planned)]
    if dead:
        raise ConfigurationError(f"no selected implementation honours {', '.join(dead)}: turning it would change nothing; leave it out")


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value != []  # 0 is given
