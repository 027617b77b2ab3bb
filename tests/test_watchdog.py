"""What a worker's plugin forked, however well it hides, ends with the harness, however that ends."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from harness import watchdog

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the environment of a process is not shown")

PLUGIN = """
import os, signal, time
from contextlib import contextmanager
from harness.component import Implementation

@contextmanager
def load(settings):
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:  # of another group and session, its parent gone
            os.setsid()
            for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(name, signal.SIG_IGN)
            os.write(write, str(os.getpid()).encode())
            time.sleep(600)
        os._exit(0)
    os.wait()
    pid = int(os.read(read, 20))
    yield lambda inputs: {"y": [pid]}

IMPLEMENTATION = Implementation("sorting", "daemon", "optimized", load)
"""
HARNESS = """
import os, signal, sys
from harness.measure.process import WorkerProcess, pins
worker = WorkerProcess("sorting.daemon", pins(1, {}), paths=[sys.argv[1], *sys.path])
worker.ask("prepare", inputs={"0": {}}, seed=1)
worker.ask("load", implementation="daemon_plugin:IMPLEMENTATION", settings={})
print(int(worker.ask("outputs", seeds=[0])["outputs"][0]["y"][0]), worker.pid, flush=True)
how = sys.argv[2]
if how == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if how == "worker killed":
    os.kill(worker.pid, signal.SIGKILL)
"""


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ends(pid, seconds=10.0):
    end = time.monotonic() + seconds
    while lives(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not lives(pid)


@pytest.mark.parametrize("how", ["killed", "worker killed", "ended"])
def test_what_a_plugin_forked_ends_with_the_harness(tmp_path, how):
    (tmp_path / "daemon_plugin.py").write_text(PLUGIN)
    done = subprocess.run([sys.executable, "-c", HARNESS, tmp_path, how], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (-signal.SIGKILL if how == "killed" else 0), done.stderr
    daemon, worker = map(int, done.stdout.split())
    assert ends(worker)
    assert ends(daemon)


def sleeper(mark=None):
    environment = {**os.environ, **({watchdog.NAME: mark} if mark else {})}
    return subprocess.Popen([sys.executable, "-S", "-c", "import time; print(flush=True); time.sleep(60)"], env=environment, stdout=-1)


def test_only_what_bears_the_mark_is_killed():
    processes = [sleeper("0123456789abcdef"), sleeper("0123456789abcdee"), sleeper()]
    try:
        for process in processes:
            process.stdout.readline()
        watchdog.sweep("0123456789abcdef")
        assert processes[0].wait(10) == -signal.SIGKILL
        assert [process.poll() for process in processes[1:]] == [None, None]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_watchdog_that_was_killed_is_replaced():
    dog = watchdog.Watchdog()
    mark = dog.mark()
    first = dog._process
    assert dog.mark() == mark
    assert dog._process is first
    first.kill()
    first.wait()
    assert dog.mark() == mark
    assert dog._process is not first
    last = dog._process
    dog.end()
    assert last.returncode == 0
