"""Implementations that end badly, print, or leave processes behind."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np

from adversarial_plugin.cheats import cheat, honest
from adversarial_plugin.component import made


@contextmanager
def _load_raises(settings):
    raise RuntimeError("no weights in sight")
    yield


@contextmanager
def _load_hangs(settings):
    time.sleep(600)
    yield


@contextmanager
def _ignores_sigterm(settings):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def run(inputs):
        time.sleep(600)

    yield run


@contextmanager
def _load_gives_nothing(settings):
    yield None


@contextmanager
def _close_raises(settings):
    yield lambda inputs: {"y": honest(inputs)}
    raise RuntimeError("cannot let go")


@contextmanager
def _close_hangs(settings):
    yield lambda inputs: {"y": honest(inputs)}
    time.sleep(600)


LOAD_RAISES = made("load_raises", _load_raises)
LOAD_HANGS = made("load_hangs", _load_hangs)
LOAD_GIVES_NOTHING = made("load_gives_nothing", _load_gives_nothing)
IGNORES_SIGTERM = made("ignores_sigterm", _ignores_sigterm)
CLOSE_RAISES = made("close_raises", _close_raises)
CLOSE_HANGS = made("close_hangs", _close_hangs)


@cheat("raises")
def RAISES(inputs):
    raise ValueError("x: expected sorted, found chaos")


@cheat("exits_politely")
def EXITS_POLITELY(inputs):
    sys.exit("enough")


@cheat("exits")
def EXITS(inputs):
    print("last words")
    sys.stdout.flush()
    os._exit(3)


@cheat("segfaults")
def SEGFAULTS(inputs):
    os.kill(os.getpid(), signal.SIGSEGV)


@cheat("is_killed")
def IS_KILLED(inputs):
    os.kill(os.getpid(), signal.SIGKILL)


@cheat("eats_memory")
def EATS_MEMORY(inputs):
    return {"y": np.ones(1 << 40)}


@cheat("crashes_later")
def CRASHES_LATER(inputs):
    """Well for the first calls: what was measured until then must not be lost."""
    _calls.append(0)
    if len(_calls) > 6:
        os.kill(os.getpid(), signal.SIGSEGV)
    return {"y": honest(inputs)}


_calls = []


@cheat("prints")
def PRINTS(inputs):
    os.write(1, b'{"body": {"wall_ns": 1}, "arrays": []}\n' * 100)
    print("\x00\xff garbage" * 1000, file=sys.stderr)
    return {"y": honest(inputs)}


@cheat("scribbles")
def SCRIBBLES(inputs):
    """Writes into every open descriptor, the harness's channel among them."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        try:
            os.set_blocking(descriptor, False)
            os.write(descriptor, b"\xff" * 64)
        except OSError:
            continue
    return {"y": honest(inputs)}


@cheat("forks_then_exits")
def FORKS_THEN_EXITS(inputs):
    """Its child keeps the pipes open."""
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    os._exit(4)


@cheat("leaves_children")
def LEAVES_CHILDREN(inputs):
    """A child in a session of its own, out of reach of a signal to the group."""
    if not _started:
        code = "import time; time.sleep(600)"
        _started.append(subprocess.Popen([sys.executable, "-c", code, "left-by-a-plugin"], start_new_session=True))
    return {"y": honest(inputs)}


_started = []
