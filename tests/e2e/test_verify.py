# SPDX-License-Identifier: Apache-2.0
"""verify on a real Kafka: equal while the table is being written, and not to be deceived."""
import json
import re
import sqlite3
import subprocess
from pathlib import Path

from culvert_test.runner import main
from kafka_case import KafkaCase

HARD = ("--disorder", "5s", "--late-share", "0.01", "--bad-share", "0.01")
RECORDS = 20_000


class Verify(KafkaCase):
    @property
    def path(self):
        return self.table.removeprefix("sqlite:")

    def full_table(self, partitions=2):
        self.make_topic(partitions)
        self.produce("--devices", 50, *HARD, count=RECORDS)
        self.consume_to_end()

    def figures(self, expect):
        return json.loads(self.culvert("verify", *self.kafka, "--table", self.table, "--format", "json", timeout=120,
                                       expect=expect).stdout)

    def tamper(self, *statements):
        with sqlite3.connect(self.path) as connection:
            for statement in statements:
                self.assertGreater(connection.execute(statement).rowcount, 0, statement)
        connection.close()

    def test_equal_at_every_moment_of_a_run(self):
        self.make_topic()
        producer = self.start_culvert("produce", *self.kafka, "--devices", 50, "--rate", 4000, "--duration", "10m",
                                      *HARD, name="producer")
        consumer = self.start_consumer("consumer", "--flush-interval", "50ms")
        self.wait_checkpointed(1, 60, "the first checkpoint", consumer)
        last = 0
        for _ in range(8):
            figures = self.figures(expect=0)
            self.assertTrue(figures["good"], figures)
            self.assertGreater(figures["records"], last)
            last = figures["records"]
            self.wait_checkpointed(last + 1_000, 60, "more was written", consumer)
        self.assertTrue(producer.alive)
        self.assertEqual(producer.stop(30), 0)
        self.assertEqual(consumer.stop(30), 0)

    def test_every_way_to_be_wrong_is_found_and_named(self):
        self.full_table()
        good = self.figures(expect=0)
        self.assertEqual(good["records"], RECORDS)
        self.assertGreater(good["late"], 0)
        self.assertGreater(good["dead_letters"], 0)
        some = "(device_id, window_start) = (SELECT device_id, window_start FROM items ORDER BY 2, 1 LIMIT 1)"
        letter = 'rowid = (SELECT min(rowid) FROM dead_letters)'
        more = "sum = sum + 1, max_micro = max_micro + 1"
        for change, kind, text in (
                (f"UPDATE items SET {more} WHERE {some}", "different", r"; sum: table "),
                (f"DELETE FROM items WHERE {some}", "missing", r"missing: device \d+, window 20"),
                (f"UPDATE items SET device_id = 777777 WHERE {some}", "extra", r"extra: device 777777, window 20"),
                (f"DELETE FROM dead_letters WHERE {letter}", "missing", r"missing: dead letter "),
                (f"UPDATE dead_letters SET value = x'1b5b32' WHERE {letter}", "different", r"table 3 bytes '\\x1b\[2'"),
                ("UPDATE checkpoints SET folded = folded - 1 WHERE \"partition\" = 0", "different", r"folded: table "),
        ):
            with self.subTest(change=change):
                before = Path(self.path).read_bytes()
                self.tamper(change)
                figures = self.figures(expect=65)
                self.assertGreater(figures[kind], 0)
                self.assertFalse(figures["good"])
                self.assertRegex("\n".join(figures["differences"]), text)
                shown = self.verify(expect=65).stdout
                self.assertRegex(shown, text)
                self.assertNotIn("\x1b", shown)
                self.assertRegex(shown.splitlines()[-1], rf"^verify: windows=\d+ .*\b{kind}=[1-9]")
                Path(self.path).write_bytes(before)
        self.verify()

    def test_removed_records_make_windows_unverifiable_not_wrong(self):
        self.full_table()
        self.cluster.delete_records(self.topic, 0, RECORDS // 6)
        done = self.verify()
        self.assertRegex(done.stdout, rf"not fully verifiable: {self.topic}@1/0: folded from offset 0")
        self.assertRegex(done.stdout, r"unverifiable=[1-9]")
        self.assertRegex(done.stdout, r" equal=[1-9]")

    def test_topic_made_anew_and_other_topics_are_refused(self):
        self.full_table()
        self.cluster.delete_topic(self.topic)
        self.cluster.create_topic(self.topic, 2)
        self.produce("--devices", 5, count=RECORDS)
        done = self.verify(expect=65)
        self.assertRegex(done.stderr, "made anew")
        other = [option if option != self.topic else "no-such-topic" for option in self.kafka]
        done = self.culvert("verify", *other, "--table", self.table, timeout=60, expect=65)
        self.assertRegex(done.stderr, f"no checkpoint of topic 'no-such-topic' .*{self.topic}")

    def test_table_is_readable_with_the_sqlite3_program(self):
        self.full_table(1)
        done = subprocess.run(
            ["sqlite3", "-csv", "-readonly", self.path,
             "SELECT device_id, window_start, window_stop, count FROM windows ORDER BY device_id, window_start"],
            capture_output=True, text=True, check=True, timeout=60)
        rows = [json.loads(line) for line in self.query().splitlines()]
        self.assertEqual(done.stdout.splitlines(),
                         [f"{r['device_id']},{r['window_start']},{r['window_stop']},{r['count']}" for r in rows])
        self.assertTrue(all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", r["window_start"]) for r in rows))


if __name__ == "__main__":
    main()
