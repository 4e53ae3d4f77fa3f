"""What happens to a process that is interrupted."""

import signal
import subprocess
import sys

STUCK = """
import signal, time
from punzinet.analysis.io import workers
workers.PATIENCE = 0.5
signal.signal(signal.SIGTERM, workers.heard_once(workers.interrupt))
try:
    print("at work", flush=True)
    time.sleep(60)
finally:
    time.sleep(60)  # as a pool does when Ctrl-C struck where locks of its futures are held
"""


def test_a_process_that_an_interrupt_does_not_end_is_ended():
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "at work\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "punzinet: interrupted; the same command goes on.\n"
