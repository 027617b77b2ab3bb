"""Threads at work at once, seen from outside."""

import subprocess
import sys
import time

import pytest

from harness.measure.crowd import LEAST_LOOKS, SHARE, Onlooker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the states of threads")

WORK = """
import hashlib, sys, threading
def work():
    hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)  # a minute in one go, without the interpreter's lock
threads = [threading.Thread(target=work) for _ in range(int(sys.argv[1]))]
for thread in threads:
    thread.start()
print("ready", flush=True)
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_as_many_threads_are_at_work_as_work(threads):
    process = subprocess.Popen([sys.executable, "-c", WORK, str(threads)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        onlooker = Onlooker()
        for _ in range(150):
            onlooker.look(process.pid)
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    looks = onlooker.at_work()
    assert len(looks) > LEAST_LOOKS
    assert max(looks) == threads
    assert sum(look == threads for look in looks) > SHARE * len(looks)


def test_a_process_that_has_gone_has_nobody_at_work():
    onlooker = Onlooker()
    onlooker.look(2**22 + 1)
    assert onlooker.at_work() == [0]
