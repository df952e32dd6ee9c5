#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A whole twin: sensors in one account, windows in the other, by the private path and in no other way."""

import json
import pathlib
import subprocess

import twin_case
import deployment
import network
import twin
from culvert_test.process import wait_until
from running_twin import RunningTwin


class Whole(RunningTwin):
    inputs = ('analytics.batching_window_seconds=1', 'analytics.window={"size":"10s"}')

    def test_1_readings_of_one_account_become_windows_in_the_other(self):
        wait_until(lambda: self.items() > 0, 240, "windows are in the table", interval=0.5)
        self.wait_progress(180, "the table follows the log")
        self.wait_green()
        figures = self.verify()
        self.assertGreater(figures["equal"], 0)
        self.assertGreater(figures["records"], 200)
        self.assertEqual(figures["unverifiable"], 0)

    def test_2_every_call_that_was_made_is_allowed_and_listed(self):
        """By the role's applied policies, and by the list that the policies are tested against."""
        calls = wait_until(lambda: json.loads((self.place.folder / "calls.json").read_text()), 10, "calls are noted")
        listed = json.loads((deployment.HERE.parent / "tests" / "program_calls.json").read_text())
        known = {call["action"] for role in listed["roles"] for call in role["calls"]}
        self.assertEqual([c for c in calls if not c["allowed"]], [])
        made = {c["action"] for c in calls}
        self.assertLessEqual(made, known)
        self.assertLessEqual({"kafka-cluster:Connect", "dynamodb:PutItem", "dynamodb:GetItem"}, made)

    def test_3_a_broker_is_reached_by_its_own_name_alone(self):
        topology = self.topology()
        first, second = topology.brokers["1"], topology.brokers["2"]
        link = topology.links[0].port
        script = ("import socket,ssl,sys\n"
                  "s=socket.create_connection((sys.argv[1],int(sys.argv[3])),5)\n"
                  "c=ssl.create_default_context(cafile='/etc/ssl/certs/ca-certificates.crt')\n"
                  "print(c.wrap_socket(s,server_hostname=sys.argv[2]).getpeercert()['subjectAltName'])\n")
        right = self.inside("consumer", "python3", "-c", script, first.host, first.host, link)
        self.assertIn(first.host, right.stdout)
        wrong = self.inside("consumer", "python3", "-c", script, first.host, second.host, link, expect=1)
        self.assertIn("Hostname mismatch", wrong.stderr)
        for address in (first.address, topology.links[0].source):
            done = self.inside("consumer", "python3", "-c", script, address, first.host, link, expect=1)
            self.assertRegex(done.stderr, "Network is unreachable|timed out")

    def test_4_a_program_with_a_wrong_name_or_password_or_without_rights_is_told_so(self):
        program, client, run = self.place.program(), self.client(), self.place.folder / "run"
        tail, link = [program, "tail", "-c", "1"], self.topology().links[0]
        by_address = [*client, "-b", f"{link.entry[0]}:{link.port}"]
        refused = self.inside("consumer", *tail, *by_address, expect=None, timeout=90)
        self.assertNotEqual(refused.returncode, 0)
        self.assertRegex(refused.stderr, "(?i)certificate|hostname")
        wrong = run / "wrong.json"
        wrong.write_text(json.dumps({**json.loads((run / "credentials.json").read_text()), "password": "not this"}))
        stranger = [str(wrong) if w.endswith("credentials.json") else w for w in client]
        refused = self.inside("consumer", *tail, *stranger, expect=77, timeout=90)
        self.assertRegex(refused.stderr, "(?i)authentication")
        closed = ["nobodys" if w == self.mapping()["topics"][0] else w for w in client]
        self.assertNotEqual(self.inside("consumer", *tail, *closed, expect=None, timeout=90).returncode, 0)

    def test_4_doctor_finds_every_hop_in_order_where_the_function_is(self):
        done = twin.doctor(self.place, ["--format", "json"], capture_output=True, text=True, timeout=180)
        hops = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        self.assertEqual([hop for hop in hops if hop.get("state") == "failed"], [], done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(len(hops), 10)

    def test_5_two_twins_do_not_collide_and_a_killed_one_leaves_nothing(self):
        """The second is made of networks alone: they and the folders are what could collide."""
        mine = set(network.namespaces_of(self.name))
        other = f"{self.name}b"
        place = twin.Place(other)
        self.addCleanup(twin.remove, place)
        self.assertTrue(place.take())
        fabric = network.Fabric(other, self.place.folder / "certificates" / "twin-authority.pem")
        fabric.build_services()
        for number, part in enumerate(self.topology().networks.values()):
            fabric.build_network(part, number)
            for host in part.hosts:
                fabric.build_host(part, host)
        left = subprocess.Popen([*fabric.inside("analytics", "consumer"), "sleep", "600"], cwd=place.folder)
        self.addCleanup(left.wait)
        self.addCleanup(left.kill)
        self.wait_progress(180, "the first twin goes on")
        twin.remove(place)
        self.assertEqual(network.namespaces_of(other), [])
        self.assertFalse(place.folder.exists())
        self.assertEqual(set(network.namespaces_of(self.name)), mine)
        self.wait_progress(180, "the first twin goes on")

    def test_6_killed_with_nothing_ended_in_order_it_leaves_no_trace(self):
        supervisor = self.place.supervisor()
        pids = [p["pid"] for p in self.place.status()["processes"]]
        twin.os.kill(supervisor["pid"], twin.signal.SIGKILL)
        self.command("down")
        self.assertEqual(network.namespaces_of(self.name), [])
        self.assertFalse(self.place.folder.exists())
        self.assertEqual(list(network.NETNS_ETC.glob(f"culvert-{self.name}-*")), [])
        alive = [pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()
                 and f"culvert-{self.name}" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()]
        self.assertEqual(alive, [])


if __name__ == "__main__":
    twin_case.main()
