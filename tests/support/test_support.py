# SPDX-License-Identifier: Apache-2.0
"""The support itself, against the real parts."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from culvert_test import kafka_wire, ports  # noqa: E402
from culvert_test.dynamodb import DynamoDbError, DynamoDbLocal  # noqa: E402
from culvert_test.kafka import KafkaCluster  # noqa: E402
from culvert_test.process import Process, wait_until  # noqa: E402
from culvert_test.runner import CulvertTest, main  # noqa: E402
from culvert_test.workspace import SupportError, workspace  # noqa: E402


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).resolve().parent)}


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] != "Z"


class Ports(CulvertTest):
    def test_no_port_is_given_twice_not_even_to_another_process(self):
        ours = ports.free_ports(50)
        theirs = subprocess.run(
            [sys.executable, "-B", "-c", "from culvert_test.ports import *; print(*free_ports(50))"], check=True,
            capture_output=True, text=True, timeout=30, env=ENVIRONMENT)
        everything = ours + [int(port) for port in theirs.stdout.split()]
        self.assertEqual(len(everything), 100)
        self.assertEqual(len(set(everything)), 100)
        ports.release(*ours)


class Processes(CulvertTest):
    def test_a_child_that_ends_too_soon_is_reported_with_its_output(self):
        process = Process(["sh", "-c", "echo because; exit 3"], name="early")
        with self.assertRaisesRegex(SupportError, "early ended with 3 before(?s:.*)because"):
            wait_until(lambda: False, 10, "it is ready", process)

    def test_waiting_is_bounded_and_names_the_last_error(self):
        port = ports.free_port()
        with self.assertRaisesRegex(SupportError, r"not within 0.2 s: a server answers \(last: .*refused"):
            wait_until(lambda: kafka_wire.metadata(port), 0.2, "a server answers")

    def test_stop_ends_a_paused_child_and_one_that_ignores_sigterm(self):
        paused = Process(["sleep", "60"])
        paused.pause()
        self.assertEqual(paused.stop(), -signal.SIGTERM)
        stubborn = Process(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], name="stubborn")
        stubborn.wait_for("ready", 30)
        self.assertEqual(stubborn.stop(timeout=0.2), -signal.SIGKILL)

    def test_a_child_started_by_a_thread_outlives_the_thread(self):
        started = []
        thread = threading.Thread(target=lambda: started.append(Process(["sleep", "60"])))
        thread.start()
        thread.join()
        time.sleep(0.1)
        self.assertTrue(started[0].alive)
        started[0].kill()

    def test_children_end_with_the_test_however_it_ends(self):
        for ending in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            script = ("import time; from culvert_test.process import Process\n"
                      "print(Process(['sleep', '60']).pid, flush=True); time.sleep(60)")
            parent = subprocess.Popen([sys.executable, "-B", "-c", script], stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT)
            with parent:
                child = int(parent.stdout.readline())
                self.assertTrue(exists(child))
                parent.send_signal(ending)
            wait_until(lambda pid=child: not exists(pid), 30, f"child gone after {ending.name}")

    def test_directories_of_a_killed_run_are_removed_by_the_next(self):
        # In a place of their own: any other test that starts meanwhile would be the next run.
        environment = {**ENVIRONMENT, "CULVERT_TEST_TMP": str(self.directory)}
        script = ("import os, signal; from culvert_test.workspace import workspace\n"
                  "print(workspace().root, flush=True); os.kill(os.getpid(), signal.SIGKILL)")
        killed = subprocess.run([sys.executable, "-B", "-c", script], stdout=subprocess.PIPE, text=True, timeout=30,
                                env=environment, check=False)
        left = pathlib.Path(killed.stdout.strip())
        self.assertTrue(left.is_dir())
        script = ("from culvert_test.workspace import workspace\n"
                  "assert workspace().root.is_dir(); print(workspace().root)")
        subprocess.run([sys.executable, "-B", "-c", script], stdout=subprocess.PIPE, timeout=30, env=environment,
                       check=True)
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_a_directory_in_the_making_is_not_swept_by_another_run(self):
        """A second run starts when the first has made its directory and does not hold its lock yet."""
        environment = {**ENVIRONMENT, "CULVERT_TEST_TMP": str(self.directory)}
        script = ("import subprocess, sys; from culvert_test import workspace\n"
                  "lock = workspace.fcntl.flock\n"
                  "def slow(file, how):\n"
                  "    workspace.fcntl.flock = lock\n"
                  "    other = 'from culvert_test.workspace import workspace; workspace()'\n"
                  "    subprocess.run([sys.executable, '-B', '-c', other], check=True)\n"
                  "    lock(file, how)\n"
                  "workspace.fcntl.flock = slow\n"
                  "assert (workspace.workspace().root / 'lock').is_file()")
        subprocess.run([sys.executable, "-B", "-c", script], timeout=60, env=environment, check=True)


class Runner(CulvertTest):
    """What a test of the program sees, with a shell script in the program's place."""

    def run_suite(self, script, body):
        """Runs a test file with one test of that body against a program of that script; returns what it printed."""
        program = self.directory / "program"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        build = self.directory / "build"
        build.mkdir(exist_ok=True)
        suite = self.directory / "suite.py"
        suite.write_text("from culvert_test.runner import *\nclass Suite(CulvertTest):\n    def test_it(self):\n"
                         f"        {body}\nmain()\n", encoding="utf-8")
        done = subprocess.run([sys.executable, "-B", str(suite)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=120, check=False,
                              env={**ENVIRONMENT, "CULVERT_BIN": str(program), "CULVERT_BUILD": str(build)})
        return done.returncode, done.stdout

    def test_output_input_and_exit_code_come_back(self):
        body = ('done = self.culvert("a", 1, expect=3, stdin="x", env={"E": "e"}); '
                'self.assertEqual((done.code, done.stdout, done.stderr), (3, "a 1 x e", "err"))')
        code, output = self.run_suite('printf "%s %s %s %s" "$1" "$2" "$(cat)" "$E"; printf err >&2; exit 3', body)
        self.assertEqual(code, 0, output)

    def test_an_unexpected_exit_code_is_shown_with_both_streams(self):
        code, output = self.run_suite("echo out; echo err >&2; exit 70", 'self.culvert("query", "--x y")')
        self.assertEqual(code, 1)
        self.assertRegex(output, r"exit code 70, expected 0: \S+/program query '--x y'")
        self.assertRegex(output, r"--- stdout:\nout\n--- stderr:\nerr\n")

    def test_a_program_that_hangs_is_ended_and_shown(self):
        code, output = self.run_suite("echo begun; exec sleep 60", "self.culvert(timeout=3)")
        self.assertEqual(code, 1)
        self.assertRegex(output, r"still running after 3 s(?s:.*)begun")

    def test_a_program_left_running_ends_with_its_test(self):
        code, output = self.run_suite("echo $$; exec sleep 60",
                                      'print("PID", self.start_culvert().wait_for(r"(\\d+)", 30).group(1))')
        self.assertEqual(code, 0, output)
        pid = int(output.split("PID ")[1].split()[0])
        self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())

    def test_logs_are_kept_after_a_failure_only(self):
        good, bad = 'self.start_culvert().wait(30)', 'self.start_culvert().wait(30); self.fail("no")'
        self.assertEqual(self.run_suite("echo telling >&2", good)[0], 0)
        self.assertFalse((self.directory / "build" / "test-logs").exists())
        code, output = self.run_suite("echo telling >&2", bad)
        self.assertEqual(code, 1)
        kept = pathlib.Path(output.split("logs of the failed test: ")[1].split()[0])
        logs = [path.read_text(encoding="utf-8") for path in kept.rglob("*.err")]
        self.assertEqual(logs, ["telling\n"])

    def test_a_missing_program_is_an_error_with_its_remedy(self):
        environment = {**ENVIRONMENT, "CULVERT_BIN": "/nonexistent/culvert"}
        done = subprocess.run([sys.executable, "-B", "-c", "from culvert_test.runner import *; culvert_program()"],
                              stderr=subprocess.PIPE, text=True, timeout=30, env=environment, check=False)
        self.assertIn("/nonexistent/culvert is missing (cmake --build", done.stderr)


class SecureKafka(CulvertTest):
    @classmethod
    def setUpClass(cls):
        cls.kafka = cls.shared(KafkaCluster())

    def test_topics_are_made_described_grown_and_deleted(self):
        topic_id = self.kafka.create_topic("grow", partitions=2, config={"retention.ms": "60000"})
        described = self.kafka.describe_topic("grow")
        self.assertEqual(described["id"], topic_id)
        self.assertEqual([p["leader"] for p in described["partitions"]], [1, 1])
        self.kafka.add_partitions("grow", 5)
        self.kafka.alter_topic("grow", {"retention.ms": "70000"})
        self.assertEqual(self.kafka.end_offsets("grow"), {p: 0 for p in range(5)})
        self.assertEqual(self.kafka.group_offsets("nobody", "grow"), {})
        self.kafka.delete_topic("grow")
        with self.assertRaisesRegex(SupportError, "Unknown topic"):
            self.kafka.describe_topic("grow")
        self.assertNotEqual(self.kafka.create_topic("grow"), topic_id)

    def test_records_are_written_counted_and_cut_off(self):
        self.kafka.create_topic("cut")
        subprocess.run(["kcat", "-P", "-b", self.kafka.admin_bootstrap, "-t", "cut"], input="a\nb\nc\n", text=True,
                       timeout=30, check=True)
        self.assertEqual(self.kafka.end_offsets("cut"), {0: 3})
        subprocess.run(["kcat", "-b", self.kafka.admin_bootstrap, "-X", "auto.offset.reset=earliest", "-G", "readers",
                        "-e", "cut"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=True)
        self.assertEqual(self.kafka.group_offsets("readers", "cut"), {0: 3})
        self.kafka.delete_records("cut", 0, 2)
        self.assertEqual(self.kafka.start_offsets("cut"), {0: 2})

    def test_a_user_may_do_only_what_the_rules_allow(self):
        self.kafka.create_topic("guarded")
        as_app = self.kafka.client_properties("app")
        with self.assertRaisesRegex(SupportError, "authorization failed"):
            self.kafka.admin("describe-topic", "guarded", properties=as_app)
        self.kafka.acl("app", ["READ", "DESCRIBE"], topic="guarded", group="guarded-group")
        self.assertEqual(self.kafka.admin("describe-topic", "guarded", properties=as_app)["name"], "guarded")
        with self.assertRaisesRegex(SupportError, "authorization failed"):
            self.kafka.admin("describe-topic", "guarded", properties=self.kafka.client_properties("other"))
        self.kafka.delete_acls("app")
        with self.assertRaisesRegex(SupportError, "authorization failed"):
            self.kafka.admin("describe-topic", "guarded", properties=as_app)

    def test_a_client_certificate_names_the_user(self):
        self.kafka.create_topic("by-certificate")
        self.kafka.acl(self.kafka.mtls_principal, ["DESCRIBE"], topic="by-certificate")
        described = self.kafka.admin("describe-topic", "by-certificate", properties=self.kafka.mtls_properties())
        self.assertEqual(described["name"], "by-certificate")
        without = {name: value for name, value in self.kafka.mtls_properties().items()
                   if name not in ("ssl.certificate.location", "ssl.key.location")}
        with self.assertRaises(SupportError):
            self.kafka.admin("describe-topic", "by-certificate", properties=without, timeout=3)

    def test_a_wrong_password_and_a_wrong_authority_are_refused(self):
        wrong_password = self.kafka.client_properties("app", password="not-it")
        with self.assertRaisesRegex(SupportError, "invalid credentials"):
            self.kafka.admin("end-offsets", "any", properties=wrong_password)
        wrong_authority = {**self.kafka.client_properties("app"), "ssl.ca.location": str(self.kafka.wrong_ca)}
        with self.assertRaisesRegex(SupportError, "certificate verify failed"):
            self.kafka.admin("end-offsets", "any", properties=wrong_authority)

    def test_a_killed_node_comes_back_with_its_topics(self):
        topic_id = self.kafka.create_topic("kept")
        self.kafka.kill(1)
        with self.assertRaises(OSError):
            kafka_wire.metadata(self.kafka.node(1).admin_port)
        self.kafka.restart(1)
        self.kafka.wait_leaders("kept", 1)
        self.assertEqual(self.kafka.describe_topic("kept")["id"], topic_id)

    def test_a_paused_node_keeps_connections_and_answers_nothing(self):
        port = self.kafka.node(1).admin_port
        self.kafka.pause(1)
        try:
            with self.assertRaises(TimeoutError):
                kafka_wire.metadata(port, timeout=0.3)
        finally:
            self.kafka.resume(1)
        self.kafka.wait_ready()
        self.assertEqual(set(kafka_wire.metadata(port)["brokers"]), {1})


class ManyClusters(CulvertTest):
    def test_two_at_once_do_not_meet(self):
        clusters = [KafkaCluster(secure=False), KafkaCluster(secure=False)]
        failures = []

        def run(cluster):
            try:
                cluster.start()
            except SupportError as error:
                failures.append(error)

        threads = [threading.Thread(target=run, args=(cluster,)) for cluster in clusters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for cluster in clusters:
            self.addCleanup(cluster.stop)
        self.assertEqual(failures, [])
        clusters[0].create_topic("only-here")
        with self.assertRaisesRegex(SupportError, "Unknown topic"):
            clusters[1].describe_topic("only-here")
        pids = [cluster.node(1).process.pid for cluster in clusters]
        for cluster in clusters:
            cluster.stop()
        self.assertEqual([exists(pid) for pid in pids], [False, False])

    def test_an_expired_certificate_is_refused(self):
        kafka = self.own(KafkaCluster(expired=True))
        with self.assertRaisesRegex(SupportError, "certificate"):
            kafka.admin("end-offsets", "any", properties=kafka.client_properties("app"))
        self.assertEqual(kafka.admin("wait-ready", 1)["brokers"], 1)

    def test_three_nodes_survive_the_loss_of_a_leader(self):
        kafka = self.own(KafkaCluster(nodes=3))
        kafka.create_topic("replicated", partitions=3)
        self.assertEqual(len(kafka.describe_topic("replicated")["partitions"][0]["replicas"]), 3)
        lost = kafka.leader("replicated", 0)
        kafka.kill(lost)
        kafka.wait_leaders("replicated", 3)
        self.assertNotEqual(kafka.leader("replicated", 0), lost)
        kafka.restart(lost)
        self.assertEqual({node.alive for node in kafka.nodes}, {True})


class DynamoDb(CulvertTest):
    def test_a_condition_that_fails_returns_the_item_and_changes_nothing(self):
        table = self.own(DynamoDbLocal())
        table.create_table("table", ("device", "S"), ("window", "N"))
        put = {"TableName": "table", "Item": {"device": {"S": "d"}, "window": {"N": "60"}, "count": {"N": "5"}},
               "ConditionExpression": "attribute_not_exists(device)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        table.call("PutItem", put)
        again = {**put, "Item": {**put["Item"], "count": {"N": "6"}}}
        with self.assertRaises(DynamoDbError) as caught:
            table.call("PutItem", again)
        self.assertEqual(caught.exception.name, "ConditionalCheckFailedException")
        self.assertEqual(caught.exception.body["Item"]["count"], {"N": "5"})
        self.assertEqual([item["count"] for item in table.scan("table")], [{"N": "5"}])


if __name__ == "__main__":
    main()
