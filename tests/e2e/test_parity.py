# SPDX-License-Identifier: Apache-2.0
"""One log, four ways: a daemon into SQLite, a daemon into DynamoDB, functions behind an event source mapping that does
what at-least-once allows, and the last two at once on one table.  The tables must hold the same bytes."""
import os
import pathlib
import threading

from culvert_test.fault_proxy import FaultProxy
from culvert_test.process import wait_until
from culvert_test.runner import culvert_program, main
from culvert_test.workspace import SupportError
from dynamodb_case import DynamoDbCase
from test_consume import HARD
from test_redrive import figures

RECORDS = int(os.environ.get("CULVERT_PARITY_RECORDS", "200000"))
WINDOW = "5s"
# Refused for their values, whatever else they are.
REFUSED = ('{{"device_id": {0}, "timestamp": "2026-01-01T00:00:{0:02}Z", "temperature": 1e9999}}\n'
           '{{"device_id": "x{0}", "timestamp": "2026-01-01T00:00:{0:02}Z", "temperature": 1}}\n'
           '{{"device_id": {0}, "timestamp": "2026-01-01T00:00:{0:02}Z", "temperature": 1000000001}}\n')


class Parity(DynamoDbCase):
    def setUp(self):
        super().setUp()
        self.function = culvert_program().parent / "culvert-lambda"
        if not os.access(self.function, os.X_OK):
            raise SupportError(f"{self.function} is missing (cmake --build .. --target culvert-lambda)")
        self.cluster.acl("app", ["READ"], group=self.topic, prefixed=True)

    def consumer(self, table, *options):
        create = ["--create-table"] if table.startswith("dynamodb:") else []
        return ["consume", *self.kafka, "-G", f"{self.topic}-daemon", "--table", table, "--window", WINDOW, *create,
                *options]

    def mapping(self, table, *options, concurrency=4):
        return ["bridge", *self.kafka, "-G", f"{self.topic}-{table.partition(':')[2]}", "--function", self.function,
                "--function-logs", "none", "--concurrency", concurrency, "--create-table", "--env",
                f"CULVERT_TABLE={table}", "--env", f"CULVERT_WINDOW={WINDOW}", *options]

    def table_of(self, way):
        return f"dynamodb:{self.table_name}-{way}"

    def contents(self, table):
        """What anybody can read of a table, after it was verified against the log."""
        self.table = table
        self.verify()
        return {"windows": self.query().splitlines(), "dead letters": self.dead_letters()}

    def expected(self):
        """By a daemon that nothing disturbs, in SQLite."""
        self.culvert(*self.consumer(self.sqlite, "--exit-at-end"), timeout=120)
        return self.contents(self.sqlite)

    def assert_same(self, expected, table):
        """Whole tables are too long to show: the first difference is."""
        actual = self.contents(table)
        for name, theirs in expected.items():
            ours = actual[name]
            for at, (one, other) in enumerate(zip(ours, theirs)):
                self.assertEqual(one, other, f"{table}: {name}, number {at}")
            self.assertEqual(len(ours), len(theirs), f"{table}: {name}")

    def test_four_ways(self):
        self.make_topic()
        self.produce("--devices", 200, *HARD, count=RECORDS)
        (self.directory / "refused").write_text("".join(REFUSED.format(i) for i in range(20)), encoding="utf-8")
        self.produce_lines("refused")
        expected = self.expected()
        self.assertGreater(len(expected["windows"]), 200)
        self.assertLessEqual({"late", "not_json", "out_of_range", "device_type"},
                             {letter["reason"] for letter in expected["dead letters"]})
        daemon, functions, both = map(self.table_of, ("daemon", "functions", "both"))
        self.culvert(*self.consumer(daemon, "--exit-at-end"), timeout=180)
        self.assert_same(expected, daemon)
        chaos = ("--chaos", "recut,duplicate,drop-reply", "--batch-size", 5_000, "--exit-at-end")
        self.culvert(*self.mapping(functions, *chaos), timeout=900)
        self.assert_same(expected, functions)
        running = self.start_culvert(*self.mapping(both, *chaos), name="mapping")
        self.culvert(*self.consumer(both, "--exit-at-end", "--flush-interval", "100ms"), timeout=900)
        self.assertEqual(running.wait(900), 0)
        self.assert_same(expected, both)

    def test_twenty_functions_killed_in_mid_batch_while_the_table_goes_away(self):
        """Without late readings the order of batches does not matter either."""
        self.make_topic(20)
        self.produce("--devices", 100, "--disorder", "5s", "--bad-share", "0.001", count=40_000)
        expected = self.expected()
        table = self.table_of("functions")
        proxy = self.own(FaultProxy(self.dynamodb.port))
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = proxy.endpoint
        running = self.start_culvert(
            *self.mapping(table, "--chaos", "recut,duplicate,reverse-halves,drop-reply", "--batch-size", 300,
                          "--exit-at-end", "--timeout", "20s", concurrency=20), name="mapping")
        killed = 0
        for _ in range(12):
            before = proxy.counts["ok"]
            wait_until(lambda: proxy.counts["ok"] > before + 30 or not running.alive, 60, "the functions write")
            killed += self.kill_one_function(running)
        self.assertGreater(killed, 3, "too few were there to be killed")
        proxy.set_down(True)
        threading.Timer(10, proxy.set_down, [False]).start()
        self.assertEqual(running.wait(900), 0, running.tail())
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = self.dynamodb.endpoint
        self.assert_same(expected, table)

    def kill_one_function(self, mapping):
        """By the process's own number: a child of this test's mapping."""
        children = []
        for path in pathlib.Path(f"/proc/{mapping.pid}/task").glob("*/children"):
            try:
                children += [int(pid) for pid in path.read_text(encoding="ascii").split()]
            except OSError:
                continue  # that thread has ended
        if not children:
            return 0
        try:
            os.kill(self.random.choice(children), 9)
        except ProcessLookupError:
            return 0  # it ended by itself a moment ago
        return 1

    def test_batches_given_up_while_the_table_was_down_are_redriven(self):
        self.make_topic()
        self.produce("--devices", 100, "--disorder", "5s", "--bad-share", "0.002", count=20_000)
        expected = self.expected()
        table = self.table_of("functions")
        proxy = self.own(FaultProxy(self.dynamodb.port))
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = proxy.endpoint
        given_up = self.directory / "given-up"
        given_up.mkdir()
        running = self.start_culvert(
            *self.mapping(table, "--mode", "provisioned", "--maximum-retry-attempts", 0, "--on-failure", given_up,
                          "--batch-size", 200, "--timeout", "3s", "--exit-at-end"), name="mapping")
        wait_until(lambda: proxy.counts["ok"] > 200, 60, "the functions write", running)
        proxy.set_down(True)
        wait_until(lambda: len(list(given_up.glob("*"))) >= 8, 90, "batches were given up", running)
        proxy.set_down(False)
        self.assertEqual(running.wait(900), 0, running.tail())
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = self.dynamodb.endpoint
        self.table = table
        redriven = figures(self.culvert("dead-letters", "redrive", "--table", table, "--on-failure", given_up,
                                        timeout=120))
        self.assertGreaterEqual(redriven["documents"], 8)
        self.assertGreater(redriven["folded"], 0)
        self.assert_same(expected, table)
        again = figures(self.culvert("dead-letters", "redrive", "--table", table, "--on-failure", given_up,
                                     timeout=120))
        self.assertEqual((again["folded"], again["windows"]), (0, 0))
        self.assert_same(expected, table)


if __name__ == "__main__":
    main()
