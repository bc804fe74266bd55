"""What tests have started does not outlive them."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from app.local.process import Process, start_time

TESTS = """
import subprocess, sys, time
from tests.support.orphans import end_with_us

for _ in range(2):
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    end_with_us(left.pid)
    print(left.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_what_tests_have_left_running_ends_with_them(by: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", TESTS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tests:
        assert tests.stdout is not None
        pids = [int(tests.stdout.readline()) for _ in range(2)]
        left = [Process(pid, start_time(pid) or "") for pid in pids]
        assert all(one.alive() for one in left)
        tests.send_signal(by)
        tests.wait(30)
    assert all(one.wait(30) for one in left)
