"""A worker is told to stop once, at whatever moment and in whatever thread that comes."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import signal, sys, threading
from assent.worker import listen, wait

stops = listen()

def tell():
    sys.stdin.readline()
    signal.pthread_kill(threading.get_ident(), int(sys.argv[1]))

threading.Thread(target=tell, daemon=True).start()
print("ready", flush=True)
wait(stops)
print("stopped")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_another_thread_got_ends_the_wait(number):
    command = [sys.executable, "-c", SCRIPT, str(int(number))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            said, error = process.communicate("now\n", timeout=30)
        finally:
            process.kill()
    assert (process.returncode, said) == (0, "stopped\n"), error
