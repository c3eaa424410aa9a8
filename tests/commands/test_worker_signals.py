"""A worker is told to stop once, at whatever moment and in whatever thread that comes."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import signal, sys, threading, time
from assent.worker import listen, wait

stops = listen()

def tell():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), int(sys.argv[1]))

threading.Thread(target=tell, daemon=True).start()
wait(stops)
print("stopped")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_another_thread_got_ends_the_wait(number):
    command = [sys.executable, "-c", SCRIPT, str(int(number))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout) == (0, "stopped\n"), ended.stderr
