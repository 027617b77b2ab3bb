"""The command line: `harness list | machine | run | gate | explain | judge | claims | publish | new`.

Each command is a few lines over the same functions that pytest and asv use. Exit codes: 0 pass, 1 fail, 2 usage or
configuration, 3 inconclusive, 4 invalid, 5 nothing, or less than planned, was measured, 6 a defect of the harness itself.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import authoring, commands, explaining, gating, publishing, running
from harness.commands import DEFECT, INCOMPLETE, USAGE, Command, refusal
from harness.settings import NAMES, ConfigurationError, expected


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _open_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        sys.stderr.write(f"{parser().format_help()}harness: error: expected a command, found none\n")
        return USAGE
    options, beyond = parser().parse_known_args(given)
    if beyond:
        options.own.error(_unknown(beyond, options.own))
    options.arguments = given
    command: Command = options.command
    try:
        with _ending_in_order():
            code = command(options)
    except ConfigurationError as error:
        code = _say(str(error), USAGE)
    except KeyboardInterrupt:
        code = _say("interrupted; what was measured is kept, `harness judge` reads it", INCOMPLETE)
    except BrokenPipeError:
        code = INCOMPLETE  # what was to be said could not be
    except OSError as error:
        # A disk that is full, a file that cannot be written: nothing that a traceback would explain better.
        code = _say(refusal(error), USAGE)
    except Exception:
        # Python's own answer is 1, which here is a verdict.
        with contextlib.suppress(OSError):
            traceback.print_exc()
        code = _say("a defect of the harness itself, no verdict; what was measured is kept, and the lines above say where it broke", DEFECT)
    _flush()
    return code


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """Told to end (SIGTERM), leave by an exception with the shell's exit code: what was started, a build say, is ended first."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _unknown(arguments: Sequence[str], own: argparse.ArgumentParser) -> str:
    """What to say of arguments that the command does not take."""
    known = list(own._option_string_actions)
    given = (argument.partition("=")[0] for argument in arguments if argument.startswith("-"))
    close = dict.fromkeys(one for name in given for one in difflib.get_close_matches(name, known, n=1, cutoff=0.65))
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    return f"unrecognized arguments: {' '.join(arguments)}; {meant}`{own.prog} --help` lists what there is"


def _open_streams() -> None:
    """Give the standard streams a place where they have none (`<&-`, `>&-`), and a way to write any character.

    Without this the next files opened would take their numbers, and a worker would be given its pipes as its output.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: SIM115 (lives as long as the process)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(message: str, code: int) -> int:
    from harness.report.console import say

    say(message)
    return code


def _flush() -> None:
    """Write what is left; when its reader has gone (`| head`), drop it, so that the interpreter's end does not stumble over it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


FIRST_STEPS = """first steps:
  harness list                       what is registered, and why any of it cannot run here
  harness run COMPONENT --case NAME  parity, times, targets: one table, one verdict
  harness explain COMPONENT.NAME     where the time of a row goes
  harness new component NAME         a plugin package of your own that works as it is

exit codes: 0 pass, 1 fail, 2 usage or configuration, 3 inconclusive, 4 invalid, 5 nothing, or less than planned, was measured,
            6 a defect of the harness itself
"""


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="harness",
        description="Proves that an optimized audio-ML implementation computes the same, is really faster, and stays so.",
        epilog=FIRST_STEPS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    under = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    one = _add(under, "list", commands.list_, "what is registered: components, implementations, and why any cannot be used")
    one.add_argument("patterns", nargs="*", metavar="PATTERN", help="component or component.implementation, with * and ?")
    one.add_argument("--cases", action="store_true", help="show the cases of each component")

    one = _add(under, "machine", commands.machine, "this machine: identity, profile, settings, state, measured limits", usage="[options]")
    one.add_argument("--limits", action="store_true", help="measure the ceilings (bandwidth, GEMM, ...) and keep them")
    one.add_argument("--asv", action="store_true", help="register this machine's name with asv")
    _add_machine(one)

    text = "measure: plan, parity, time, judge against the profile, one table, record"
    one = _add(under, "run", running.run, text, usage="[PATTERN ...] [options]")
    one.add_argument("patterns", nargs="*", metavar="PATTERN", help="component or component.implementation, with * and ?; all without")
    one.add_argument(
        "--only", choices=("parity", "settings", "realtime"),
        help="only compare results, or only flip each setting, or only play real-time callbacks on an audio thread",
    )  # fmt: skip
    one.add_argument("--case", action="append", metavar="NAME", help="only this case (repeatable)")
    one.add_argument("--seed", type=int, metavar="N", help="this seed instead of the family of three (with --only parity)")
    one.add_argument("--sweep", action="append", default=[], metavar="NAME=A,B", help="over the values of a setting, interleaved")
    one.add_argument("--input", type=Path, metavar="FILE", help="the user's own audio as the case (wav, flac, mp3, ogg)")
    one.add_argument("--thorough", action="store_true", help="the long cases too")
    one.add_argument("--seconds", type=float, metavar="S", help="with --only realtime: how long each callback plays (default 60)")
    one.add_argument("--launches", type=int, metavar="N", help="fresh processes per row and case (default 3, which a verdict needs)")
    one.add_argument("--record", action="store_true", help="write into asv history (clean commits only)")
    one.add_argument("--resume", nargs="?", const="", metavar="SESSION", help="go on with a session that did not end (default: the latest)")
    one.add_argument("--wait", action="store_true", help="where another run measures on this machine, wait for its end")
    _add_machine(one)
    _add_reports(one)

    text = "head against base, both built and measured now: has anything become worse?"
    one = _add(under, "gate", gating.gate, text, usage="--base REF [PATTERN ...] [options]")
    one.add_argument("patterns", nargs="*", metavar="PATTERN", help="component or component.implementation, with * and ?; all without")
    one.add_argument("--base", metavar="REF", help="the commit that head, the working tree, is compared with")
    one.add_argument("--all", action="store_true", help="measure also the rows that run the code of base, byte for byte")
    one.add_argument("--self-test", action="store_true", help="can the gate be red and green, on this machine, now?")
    one.add_argument("--quality", type=int, metavar="N", help="how often is it wrong here? N verdicts for each kind of specimen")
    one.add_argument("--case", action="append", metavar="NAME", help="only this case (repeatable)")
    one.add_argument(
        "--budget", type=float, metavar="MINUTES",
        help="what is undecided by then is inconclusive (default 20); with --quality: stop then, the same command goes on (default: none)",
    )  # fmt: skip
    one.add_argument("--patience", type=float, default=120.0, metavar="SECONDS", help="a call that takes longer is a hang (default 120)")
    one.add_argument("--no-explain", action="store_true", help="do not profile what became worse")
    one.add_argument("--wait", action="store_true", help="where another run measures on this machine, wait for its end")
    _add_machine(one)
    _add_reports(one)

    _add_explain(under)

    _add_judge(under)

    one = _add(under, "claims", commands.claims, "the ledger of the source documents' claims, with what was measured here")
    text = "first run the commands that show what no session records (of all claims without an ID) and keep what they say"
    one.add_argument("--show", nargs="*", metavar="ID", help=text)
    for kind in ("json", "markdown"):
        one.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"also write the ledger as {kind}")

    _add_new(under)

    one = _add(under, "publish", publishing.publish, "a page of the verdicts, history and claims, with asv's site beside it")
    one.add_argument("session", nargs="?", metavar="SESSION", help="the session to show (default: the latest; without one, the history)")
    one.add_argument("-o", "--output", type=Path, metavar="DIR", help="where to write (default: html_dir of asv.conf.json)")
    return top


def _add(
    under: argparse._SubParsersAction[argparse.ArgumentParser], name: str, command: Command, text: str, *, usage: str | None = None
) -> argparse.ArgumentParser:
    """A command. usage: what it takes, where all its options would be a wall of them."""
    one = under.add_parser(name, help=text, description=text, usage=usage and f"%(prog)s {usage}", allow_abbrev=False)
    one.set_defaults(command=command, own=one)
    return one


def _add_explain(under: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "where the time and the memory of a row go, and what changed; with flame graphs"
    one = _add(under, "explain", explaining.explain, text, usage="COMPONENT.IMPLEMENTATION [--against REF|IMPLEMENTATION] [options]")
    one.add_argument("row", metavar="COMPONENT.IMPLEMENTATION", help="what is profiled; a variant needs its settings (--precision float32)")
    one.add_argument(
        "--against", metavar="REF|IMPLEMENTATION",
        help="what it is compared with: a commit of this project (built as the gate builds it), or another implementation",
    )  # fmt: skip
    one.add_argument("--case", metavar="NAME", help="on this case (default: the quick one)")
    one.add_argument("--seconds", type=float, default=4.0, metavar="S", help="of sampling, for each side (default 4)")
    one.add_argument("-o", "--output", type=Path, metavar="DIR", help="where the files go (default: a folder in .harness/explain)")
    one.add_argument("--wait", action="store_true", help="where another run measures on this machine, wait for its end")
    _add_machine(one)


def _add_judge(under: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "judge what was measured against the profile's targets"
    one = _add(under, "judge", commands.judge, text, usage="[SESSION|--history [PATTERN ...]] [options]")
    one.add_argument(
        "names", nargs="*", metavar="SESSION|PATTERN",
        help="a session in .harness/records (default: the latest); with --history, patterns as in `run` (default: this project's)",
    )  # fmt: skip
    one.add_argument("--history", action="store_true", help="judge asv history of this machine instead: targets, trends and steps")
    one.add_argument("--results", type=Path, metavar="FOLDER", help="asv results folder (default: results_dir of asv.conf.json)")
    one.add_argument("--commit", metavar="REF", help="with --history: the commit to judge (default: HEAD)")
    one.add_argument("--machine", metavar="NAME|all", help="with --history: draw the trends of this machine, or of every one")
    _add_machine(one)
    _add_reports(one)


def _add_new(under: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    one = _add(under, "new", authoring.new, authoring.USUAL)
    one.add_argument("kind", choices=("component", "implementation"), help="what it adds: something new to compute, or another way to")
    one.add_argument("name", metavar="NAME|COMPONENT.NAME", help="of the component (loudness_meter), or of the implementation (dbn.mine)")
    one.add_argument("-o", "--output", type=Path, metavar="DIR", help="the folder to write (default: the package's name, here)")
    one.add_argument("--install", action="store_true", help="also install it with pip, list it and run its parity test")


def _add_machine(one: argparse.ArgumentParser) -> None:
    one.add_argument("--profile", metavar="NAME", help="this profile instead of the one that fits the machine")
    over = "over the environment (HARNESS_<NAME>), which is over the profile; docs/settings.md has where each of them shows"
    group = one.add_argument_group("settings", over)
    for name in NAMES:
        group.add_argument(f"--{name.replace('_', '-')}", dest=f"setting_{name}", metavar="VALUE", help=expected(name))


def _add_reports(one: argparse.ArgumentParser) -> None:
    group = one.add_argument_group("reports, beside the table in the terminal")
    for kind in ("json", "junit", "markdown"):
        group.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"write the verdicts as {kind}")
    group.add_argument("--html", type=Path, metavar="FILE", help="write a page of verdicts, plots, history and claims")


if __name__ == "__main__":
    sys.exit(main())
