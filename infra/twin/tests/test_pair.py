#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two whole twins at once, one of which grows while the other is killed: neither notices the other."""

import pathlib
import signal
import subprocess
import sys

import twin_case
import network
import twin
from culvert_test.process import wait_until
from culvert_test.workspace import build_directory
from running_twin import RunningTwin

INPUTS = ('analytics.batching_window_seconds=1', 'analytics.window={"size":"10s"}')


class Second(RunningTwin):
    """Started by Pair, which has the tests."""

    inputs, suffix = INPUTS, "b"


def processes_of(name):
    """Command lines that name a twin or its folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue   # it has ended
        if f"culvert-{name}-" in words or f"{twin.BASE}/{name}/" in words:
            found.append(words)
    return found


class Pair(RunningTwin):
    inputs = INPUTS

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.addClassCleanup(Second.doClassCleanups)
        Second.setUpClass()
        cls.second = Second()

    def traces(self, name):
        return [*network.namespaces_of(name), *map(str, network.NETNS_ETC.glob(f"culvert-{name}-*")),
                *processes_of(name), *map(str, twin.BASE.glob(name))]

    def test_1_both_work_beside_each_other(self):
        for one in (self, self.second):
            wait_until(lambda one=one: one.items() > 0, 120, f"{one.name} has windows", interval=0.5)
            one.wait_green()
            self.assertEqual(one.verify()["unverifiable"], 0)
        self.assertFalse(set(network.namespaces_of(self.name)) & set(network.namespaces_of(self.second.name)))

    def test_2_one_grows_to_six_brokers_in_three_zones(self):
        self.command("apply", "stream.broker_count=6", timeout=400)
        topology = self.topology()
        self.assertEqual(sorted(topology.brokers, key=int), ["1", "2", "3", "4", "5", "6"])
        self.assertEqual(sorted(b.zone for b in topology.brokers.values()),
                         sorted(2 * [f"eu-central-1{z}" for z in "abc"]))
        self.wait_green(120)   # each of the six by its own name, endpoint and certificate
        self.wait_progress(90, "the table follows the log")
        self.assertEqual(self.verify()["unverifiable"], 0)
        self.second.wait_progress(60, "the other goes on")

    def test_3_a_start_that_is_killed_leaves_nothing_behind_its_down(self):
        """While it packs the programs, applies, and builds."""
        name = f"{self.name}c"
        command = [sys.executable, "-B", str(twin_case.TWIN / "twin.py"), "--name", name, "--build",
                   str(build_directory())]
        for said in ("applying both accounts", "applying infra/accounts/analytics", "starting 3 brokers"):
            starter = subprocess.Popen([*command, "up", "--no-wait"], stderr=subprocess.PIPE, text=True)
            self.addCleanup(starter.stderr.close)
            for line in starter.stderr:
                if said in line:
                    break
            starter.send_signal(signal.SIGKILL)
            starter.wait(30)
            subprocess.run([*command, "down"], check=True, timeout=120, capture_output=True)
            self.assertEqual(self.traces(name), [], f"killed at: {said}")

    def test_4_the_other_is_killed_and_this_one_goes_on(self):
        pid = self.second.place.supervisor()["pid"]
        twin.os.kill(pid, signal.SIGKILL)
        self.second.command("down", timeout=300)
        self.assertEqual(self.traces(self.second.name), [])
        self.assertEqual(self.findings(), [])
        self.wait_progress(60, "this one goes on")


if __name__ == "__main__":
    twin_case.main()
