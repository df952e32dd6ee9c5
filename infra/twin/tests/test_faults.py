#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A twin under load, and what may happen to it: brokers that die and move, names that vanish, packets that do.

After each the table is worked out again from the log: nothing lost, nothing twice.
"""

import re
import subprocess

import twin_case
import network
from culvert_test.process import wait_until
from culvert_test.workspace import build_directory
from running_twin import RunningTwin


# Twice the least delay there can be: to there and back.
SLOW_SECONDS = 0.08


class Faults(RunningTwin):
    inputs = ('analytics.batching_window_seconds=1', 'analytics.window={"size":"10s"}',
              'stream.sensors={"instance_count":1,"records_per_second":500,"devices":50}')

    def setUp(self):
        wait_until(lambda: self.items() > 0, 120, "windows are in the table", interval=0.5)

    def check_whole(self, seconds=90):
        """Progress goes on, every hop works, and the table is what the log says."""
        self.wait_progress(seconds, "the table follows the log again", records=1000)
        self.wait_green(seconds)
        figures = self.verify()
        self.assertEqual(figures["unverifiable"], 0)
        return figures

    def test_1_a_broker_that_moved_is_seen_and_followed_by_an_apply(self):
        before = self.topology()
        self.command("move", "1")
        findings = wait_until(self.findings, 60, "the frozen target is seen")
        self.assertRegex(findings[0], r"^target: broker 1 is at \S+, the target of \S+ is ")
        self.command("apply", timeout=240)
        self._followed(before, "1", 60)
        self.check_whole(seconds=180)

    def test_2_or_by_the_reconciler_when_it_is_time(self):
        self._require_reconciler()
        before = self.topology()
        self.command("move", "2")
        self._followed(before, "2", 150)
        self.check_whole(seconds=180)
        self.command("apply", timeout=240)   # leads to the same place
        self.assertEqual(self._targets(), {b.address for b in self.topology().brokers.values()})
        self.check_whole(seconds=180)

    def _require_reconciler(self):
        """A build whose function does not know the role yet cannot show this."""
        program = build_directory() / "culvert-lambda"
        nobody = {"CULVERT_ROLE": "reconcile", "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9"}
        said = subprocess.run([program], env=nobody, capture_output=True, text=True, timeout=30)
        if "no role 'reconcile'" in said.stdout + said.stderr:
            self.skipTest("culvert-lambda of this build has no role 'reconcile'")

    def _targets(self):
        return {ip for li in self.topology().links for ip, _ in li.targets}

    def _followed(self, before, number, seconds):
        wait_until(lambda: self.topology().brokers[number].address in self._targets()
                   and before.brokers[number].address not in self._targets(), seconds,
                   f"the target of broker {number} has followed", interval=0.5)

    def test_3_a_broker_that_is_killed_comes_back(self):
        pid = next(p["pid"] for p in self.place.status()["processes"] if p["name"] == "broker-3")
        twin_case.twin.os.kill(pid, twin_case.twin.signal.SIGKILL)
        wait_until(lambda: any(p["name"] == "broker-3" and p["pid"] != pid
                               for p in self.place.status()["processes"]), 60, "broker 3 has been started again")
        self.check_whole(seconds=180)

    def test_4_a_broken_private_zone_is_named_and_healed(self):
        patch = twin_case.TWIN.parent / "tests" / "mistakes" / "02-missing-name.patch"
        self.command("apply", "--patch", patch, timeout=240)
        self.assertRegex("\n".join(self.findings()), r"(?m)^name: broker 2: b-2\S+ does not exist")
        self.command("apply", "--unpatch", patch, timeout=240)
        self.check_whole(seconds=180)

    def test_5_loss_and_delay(self):
        self.command("impair", "--delay-ms", 60, "--jitter-ms", 20, "--loss-percent", 3)
        script = ("import socket,sys,time\nt=time.monotonic()\n"
                  "socket.create_connection((sys.argv[1],int(sys.argv[2])),20)\nprint(time.monotonic()-t)")
        where = self.topology().brokers["1"].host, self.topology().links[0].port
        wait_until(lambda: float(self.inside("consumer", "python3", "-c", script, *where).stdout) > SLOW_SECONDS, 60,
                   "a connection takes its time", interval=0.5)
        self.wait_progress(180, "records come through a bad network", records=1000)
        rules = network.run([*self.fabric().inside("analytics"), "nft", "list", "table", "inet", "impairment"])
        self.assertGreater(sum(int(n) for n in re.findall(r"packets (\d+)", rules)), 0)
        self.command("impair")
        self.check_whole()


if __name__ == "__main__":
    twin_case.main()
