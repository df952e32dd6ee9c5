# SPDX-License-Identifier: Apache-2.0
"""produce -> Kafka -> culvert bridge -> culvert-lambda -> DynamoDB Local: the daemon's table, to the byte."""
import os
import pathlib

from bridge_case import BridgeCase
from culvert_test.dynamodb import DynamoDbLocal
from culvert_test.fault_proxy import FaultProxy, first_puts
from culvert_test.process import wait_until
from culvert_test.runner import main
from culvert_test.workspace import build_directory

FUNCTION = pathlib.Path(os.environ.get("CULVERT_LAMBDA") or build_directory() / "culvert-lambda")
WINDOW = "10s"


class BridgeFunction(BridgeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dynamodb = DynamoDbLocal()
        cls.shared(cls.dynamodb)

    def function_options(self, *options):
        return ["--create-table", "--env", f"CULVERT_TABLE=dynamodb:{self.topic}", "--env", f"CULVERT_WINDOW={WINDOW}",
                "--env", "CULVERT_OUT_OF_ORDERNESS=5s", "--batching-window", "100ms", *options]

    def run_bridge(self, *options):
        return self.culvert("bridge", *self.kafka, "-G", self.topic, "--function", FUNCTION, "--exit-at-end",
                            *self.function_options(*options), timeout=120, env=self.dynamodb.environment)

    def start_function(self, name, endpoint, *options):
        return self.start_culvert("bridge", *self.kafka, "-G", self.topic, "--function", FUNCTION,
                                  *self.function_options(*options), name=name,
                                  env={**self.dynamodb.environment, "AWS_ENDPOINT_URL_DYNAMODB": endpoint})

    def dynamodb_query(self):
        return self.culvert("query", "--table", f"dynamodb:{self.topic}", "--format", "json", timeout=120,
                            env=self.dynamodb.environment).stdout

    def dynamodb_letters(self):
        return self.culvert("dead-letters", "list", "--table", f"dynamodb:{self.topic}", "--format", "json",
                            timeout=60, env=self.dynamodb.environment).stdout

    def assert_as_the_daemon(self):
        """What `consume` makes of the topic in SQLite is what the function made of it."""
        self.cluster.acl("app", ["READ"], group=f"{self.topic}-daemon")
        self.culvert("consume", *self.kafka, "-G", f"{self.topic}-daemon", "--table", self.table, "--exit-at-end",
                     "--window", WINDOW, "--out-of-orderness", "5s", timeout=120)
        expected = self.query()
        self.assertGreater(expected.count("\n"), 20)
        self.assertEqual(self.dynamodb_query(), expected)
        letters = self.culvert("dead-letters", "list", "--table", self.table, "--format", "json", timeout=60).stdout
        self.assertGreater(letters.count("\n"), 2)
        self.assertEqual(self.dynamodb_letters(), letters)

    def test_the_table_is_that_of_consume_under_chaos(self):
        self.make_topic(4)
        self.produce("--devices", 40, "--disorder", "4s", "--bad-share", "0.002", "--late-share", "0.002", count=4_000)
        # Two loops in each instance, so that two invocations share a process.
        done = self.run_bridge("--chaos", "recut,duplicate,drop-reply", "--seed", self.seed, "--concurrency", 4,
                               "--batch-size", 150, "--env", "AWS_LAMBDA_MAX_CONCURRENCY=2")
        figures = self.stopped(done.stderr)
        self.assertGreater(figures["duplicated"] + figures["replies_dropped"], 3)
        self.assertEqual((figures["crashes"], figures["function_errors"]), (0, 0))
        self.assert_as_the_daemon()

    def test_the_table_is_that_of_consume_after_a_kill(self):
        self.make_topic(2)
        self.produce("--devices", 20, "--disorder", "4s", "--bad-share", "0.002", "--late-share", "0.002", count=3_000)
        options = ("--concurrency", 2, "--freeze", "-X", "session.timeout.ms=6000")
        # Enough puts for a few batches; then the table holds it up, and it is in the middle whenever the kill comes.
        proxy = self.own(FaultProxy(self.dynamodb.port))
        proxy.policy = first_puts(325)
        bridge = self.start_function("killed", proxy.endpoint, "--batch-size", 60, *options)
        wait_until(lambda: sum(self.offsets().values()) > 100, 60, "some progress", bridge)
        bridge.kill()
        self.assertLess(sum(self.offsets().values()), 3_000, "it was killed in the middle")
        proxy.release()
        self.run_bridge("--batch-size", 100, *options)
        self.assert_as_the_daemon()


if __name__ == "__main__":
    main()
