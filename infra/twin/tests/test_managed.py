#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A whole twin joined by Amazon MSK's managed connection: IAM, a name and a port of its own for each broker."""

import json

import twin_case
import twin
from accounts import THREE_ZONES
from culvert_test.process import wait_until
from running_twin import RunningTwin


class Managed(RunningTwin):
    inputs = ("stream.path=multi_vpc", "analytics.path=multi_vpc", "analytics.batching_window_seconds=1",
              'analytics.window={"size":"10s"}', f"analytics.private_subnets={json.dumps(THREE_ZONES)}")

    def test_1_readings_become_windows_without_any_load_balancer_or_password(self):
        self.assertEqual(self.applied().of_type("aws_lb") + self.applied().of_type("aws_vpc_endpoint_service"), [])
        self.assertFalse((self.place.folder / "run" / "credentials.json").exists())
        wait_until(lambda: self.items() > 0, 120, "windows are in the table", interval=0.5)
        self.wait_progress(60, "the table follows the log")
        self.wait_green()
        figures = self.verify()
        self.assertGreater(figures["equal"], 0)
        self.assertEqual(figures["unverifiable"], 0)

    def test_2_the_functions_role_is_who_reads(self):
        calls = json.loads((self.place.folder / "calls.json").read_text())
        role = self.applied().one("aws_lambda_function", arn=self.mapping()["function_arn"])["role"]
        self.assertIn("kafka-cluster:Connect", {c["action"] for c in calls if c["role"] == role and c["allowed"]})
        self.assertEqual([c for c in calls if not c["allowed"]], [])
        # Signed by somebody whom the cluster does not know.
        tail = [self.place.program(), "tail", "-c", "1", *self.client()]
        refused = self.inside("consumer", *tail, env={"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"},
                              timeout=90, expect=77)
        self.assertRegex(refused.stderr, "(?i)authentication|token|credentials")

    def test_3_doctor_finds_every_hop_where_the_function_is(self):
        done = twin.doctor(self.place, ["--format", "json"], capture_output=True, text=True, timeout=180)
        hops = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        self.assertEqual([hop for hop in hops if hop.get("state") == "failed"], [], done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_4_only_the_connections_own_group_gets_through(self):
        broker = self.topology().brokers["1"]
        script = "import socket,sys; socket.create_connection((sys.argv[1],int(sys.argv[2])),2)"
        done = self.inside("stranger", "python3", "-c", script, broker.consumer_host, broker.managed_port, expect=1)
        self.assertRegex(done.stderr, "timed out")
        for host, port in ((broker.host, 9098), (broker.address, broker.managed_port)):
            done = self.inside("consumer", "python3", "-c", script, host, port, expect=1)
            self.assertRegex(done.stderr, "Network is unreachable|timed out")


if __name__ == "__main__":
    twin_case.main()
