#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeded mistakes of infra/tests/mistakes, put into a running twin: each turns it red, and the hop is named.

Between two mistakes the twin is made whole again, and must be green: so what is red is the mistake's doing.
"""

import json
import re
import shlex
import subprocess

import twin_case
import twin
from brokers import REPLICATION_PORT
from culvert_test.parts import JarPart
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

    def test_an_endpoint_that_waits_is_silent_and_doctor_tells_who_accepts(self):
        self.command("apply", "stream.accepted_endpoints={}", timeout=240)
        try:
            self.assertRegex(self.command("check", expect=1),
                             r"(?m)^broken  private link: broker 1: vpce-\w+ waits for acceptance")
            done = twin.doctor(self.place, ["--timeout", "3s", "--format", "json"], capture_output=True, text=True,
                               timeout=240)
            failed = {hop["hop"]: hop for hop in map(json.loads, done.stdout.splitlines()) if hop["state"] == "failed"}
            self.assertEqual(list(failed), ["tcp"], done.stderr)
            self.assertRegex("\n".join(failed["tcp"]["details"]), "does not answer")
            self.assertRegex(str(failed["tcp"]["causes"]), "was not accepted.*accepted_endpoints of the stream root")
        finally:
            self.command("apply", timeout=240)
            self.wait_green()

    def test_an_input_that_a_root_does_not_have_is_refused(self):
        said = self.command("apply", "stream.accepted_endpoint={}", expect=1)
        self.assertIn("the stream root has no input accepted_endpoint (it has accepted_endpoints)", said)

    def test_the_administrators_script_gives_the_consumer_its_rights(self):
        """Taken away, then given by the script that the stream root prints, by Kafka's own tool: the same as before."""
        state = self.applied()
        script = self.place.folder / "run" / "acls.sh"
        script.write_text(state.outputs["stream"]["acl_script"])
        before = self.consumers_rules(script)
        self.assertEqual(len(before), len(state.outputs["stream"]["consumer_acls"]))
        for words in state.outputs["stream"]["acl_script"].splitlines():
            if words.startswith("acls --add "):
                self.kafka_tool("--remove", "--force", *words.split()[2:])
        self.assertEqual(self.consumers_rules(None), set())
        self.assertEqual(self.consumers_rules(script), before)
        self.wait_progress(120, "the consumer goes on")

    def consumers_rules(self, script):
        """What the cluster lists of the consumer's rules, after the script, if there is one."""
        listed = self.kafka_tool("--list") if script is None else self.administrator("bash", str(script))
        rules, resource = set(), None
        for line in listed.splitlines():
            if found := re.search(r"resource `ResourcePattern\((.*)\)`", line):
                resource = found[1]
            elif "principal=User:culvert," in line:
                rules.add((resource, line.strip()))
        return rules

    def kafka_tool(self, *words):
        return self.administrator("bash", "-c", 'kafka-acls.sh --bootstrap-server "$BOOTSTRAP" '
                                  '--command-config "$COMMAND_CONFIG" "$@"', "-", *words)

    def administrator(self, *command):
        """Inside the stream network with the administrator's certificate, and kafka-acls.sh on the PATH."""
        run, certificates = self.place.folder / "run", self.place.folder / "certificates"
        store = run / "administrator.store.pem"
        store.write_text("".join((certificates / f"administrator.{end}").read_text() for end in ("key", "pem")))
        (run / "admin.properties").write_text(
            f"security.protocol=SSL\nssl.keystore.type=PEM\nssl.keystore.location={store}\nssl.truststore.type=PEM\n"
            f"ssl.truststore.location={certificates / 'twin-authority.pem'}\n")
        tool = run / "kafka-acls.sh"
        java = JarPart("kafka39").command("kafka.admin.AclCommand", [], 128)
        tool.write_text("#!/bin/sh\nexec " + " ".join(shlex.quote(str(w)) for w in java) + ' "$@"\n')
        tool.chmod(0o755)
        broker = self.topology().brokers["1"]
        environment = ["env", f"PATH={run}:/usr/bin:/bin", f"COMMAND_CONFIG={run / 'admin.properties'}",
                       f"BOOTSTRAP={broker.host}:{REPLICATION_PORT}"]
        done = subprocess.run([*self.fabric().inside("stream", "broker-1"), *environment, *command], text=True,
                              capture_output=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

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
