"""The end of a load: a user that is stopped leaves no request behind that nobody counts."""

from __future__ import annotations

import subprocess
import sys

from tests.cloud import ROOT

# Locust patches the standard library of the process that imports it.
_PROGRAM = """
import gevent
from locust import constant
from locust.env import Environment
from loadtest.user import EndpointClient

begun = ended = 0


class Endless(EndpointClient):
    wait_time = constant(0)

    def request(self):
        global begun, ended
        begun += 1
        gevent.sleep(0)
        ended += 1

    tasks = [request]


for _ in range(20):
    environment = Environment(user_classes=[Endless], stop_timeout=5)
    runner = environment.create_local_runner()
    runner.start(30, 30)
    gevent.sleep(0.05)
    runner.stop()
    assert runner.user_count == 0
assert begun > 1000, begun
print(begun - ended)
"""


def test_a_user_that_is_stopped_between_two_requests_begins_no_other() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n"
