#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeded mistakes of infra/tests/mistakes, put into a running twin: each turns it red, and the hop is named.

Between two mistakes the twin is made whole again, and must be green: so what is red is the mistake's doing.
"""

import re

import twin_case
from culvert_test.process import wait_until
from running_twin import RunningTwin

FOLDER = twin_case.TWIN.parent / "tests" / "mistakes"
# What the twin's check says, for mistakes that can be applied.
NAMED = {
    "01-wrong-listener-port": r"^load balancer: broker 1: \S+ listens on \d+, clients come to \d+$",
    "02-missing-name": r"^name: broker 2: b-2\S+ does not exist in the analytics network$",
    "04-group-without-the-port": r"^security group: broker \d: the (consumer's|endpoints') group does not let port \d+",
    "06-wrong-topic": r"^topic: the mapping reads 'telemetry-readings', the cluster has telemetry$",
    "07-implicit-consumer-group": r"^group: the mapping names no consumer group",
    "11-start-at-latest": r"^mapping: starts at LATEST",
}
# What an apply says, for mistakes that it refuses.
REFUSED = {
    "03-zone-named-after-the-service": "ConflictingDomainExists",
    "05-wrong-principal": r"endpoint service|vpce-svc",
}


class Mistakes(RunningTwin):
    inputs = ('analytics.batching_window_seconds=1', 'analytics.window={"size":"10s"}')

    def setUp(self):
        wait_until(lambda: self.items() > 0, 120, "windows are in the table", interval=0.5)

    def mend(self, patch):
        self.command("apply", "--unpatch", patch, timeout=240)
        self.wait_green()

    def test_mistakes_that_can_be_applied_are_named(self):
        for name, pattern in NAMED.items():
            with self.subTest(name):
                self.assertEqual(self.findings(), [])
                patch = FOLDER / f"{name}.patch"
                self.command("apply", "--patch", patch, timeout=240)
                try:
                    said = self.command("check", expect=1)
                    found = [line.removeprefix("broken  ") for line in said.splitlines()]
                    self.assertTrue([line for line in found if re.search(pattern, line)], said)
                finally:
                    self.mend(patch)

    def test_the_last_one_mixes_up_the_brokers_names(self):
        """It is not taken back: two zones cannot swap their names in one apply, on AWS neither."""
        self.command("apply", "--patch", FOLDER / "10-brokers-by-position.patch", timeout=240)
        self.assertRegex(self.command("check", expect=1),
                         r"(?m)^broken  hand-over: broker \d is b-\d\S+, the hand-over says b-\d")

    def test_mistakes_that_an_apply_refuses_are_named(self):
        for name, pattern in REFUSED.items():
            with self.subTest(name):
                patch = FOLDER / f"{name}.patch"
                said = self.command("apply", "--patch", patch, expect=1, timeout=240)
                self.assertRegex(" ".join(said.split()), pattern)
                self.mend(patch)


if __name__ == "__main__":
    twin_case.main()
