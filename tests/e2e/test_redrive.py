# SPDX-License-Identifier: Apache-2.0
"""dead-letters redrive on both tables: what was late, what an older version could not read, what was given up."""
import base64
import json
import re
import sqlite3
import subprocess

from culvert_test.runner import main
from dynamodb_case import DynamoDbCase
from test_consume import HARD


def figures(done):
    """The figures of the closing line."""
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", done.stdout)}


class Redrive(DynamoDbCase):
    def redrive(self, *options, expect=0):
        return self.culvert("dead-letters", "redrive", "--table", self.table, *options, timeout=60, expect=expect)

    def both_tables(self, *options):
        """The log in both tables; yields with self.table being one of them after the other."""
        for table in (self.sqlite, self.table):
            self.table = table
            self.consume_to_end(*options)
            yield table

    def test_late_readings_when_asked_for(self):
        self.make_topic()
        self.produce("--devices", 100, *HARD, count=10_000)
        self.late_readings()

    def test_late_readings_go_into_the_hopping_windows_that_they_missed(self):
        self.make_topic()
        self.produce("--devices", 100, *HARD, count=6_000)
        self.late_readings("--window", "30s", "--advance", "10s")

    def late_readings(self, *options):
        after = []
        for _ in self.both_tables(*options):
            before = self.query()
            late = sum(letter["reason"] == "late" for letter in self.dead_letters())
            self.assertGreater(late, 10)
            plain = figures(self.redrive())
            self.assertEqual((plain["repaired"], plain["late"], plain["windows"]), (0, late, 0))
            dry = figures(self.redrive("--late", "--dry-run"))
            self.assertEqual(self.query(), before)
            done = figures(self.redrive("--late"))
            self.assertEqual(dry, done)
            self.assertEqual(done["repaired"], late)
            self.assertIn(f"repaired={late}", self.verify().stdout)
            after.append((self.query(), self.dead_letters()))
            self.assertNotEqual(after[-1][0], before)
            again = figures(self.redrive("--late"))
            self.assertEqual((again["repaired"], again["held"], again["windows"]), (0, late, 0))
            # The log read once more changes nothing either, nor does going on.
            self.consume_to_end("--replay-from", "earliest", *options)
            self.assertEqual((self.query(), self.dead_letters()), after[-1])
        self.assertEqual(after[0], after[1])

    def test_what_an_older_version_could_not_read(self):
        """The table as an older version would have left it is made from one of today's: a reading that is alone in
        its window becomes a dead letter."""
        self.make_topic(1)
        self.produce("--devices", 2_000, "--disorder", "2s", count=3_000)
        self.table = self.sqlite
        self.consume_to_end("--window", "1s")
        today = self.query()
        values = self.records_by_kcat()
        with sqlite3.connect(self.table.removeprefix("sqlite:")) as table:
            (newest,) = table.execute("SELECT max_event_time FROM checkpoints").fetchone()
            single = {}
            for device, start, fences in table.execute(
                    "SELECT device_id, window_start, fences FROM items WHERE count = 1 AND window_end < ?", (newest,)):
                single[int(fences.rpartition(":")[2]) - 1] = (device, start)
            self.assertGreater(len(single), 5)
            for offset, key in single.items():
                table.execute("DELETE FROM items WHERE device_id = ? AND window_start = ?", key)
                table.execute("INSERT INTO dead_letters VALUES (?, 1, 0, ?, NULL, 'wrong_type', '', NULL, ?)",
                              (self.topic, offset, values[offset]))
            table.execute("UPDATE checkpoints SET folded = folded - ?, dead_letters = dead_letters + ?",
                          (len(single), len(single)))
        self.assertNotEqual(self.query(), today)
        found = self.culvert("verify", *self.kafka, "--table", self.table, timeout=60, expect=65)
        self.assertIn("it can be read by now, but is not in device", found.stdout)
        self.assertEqual(figures(self.redrive())["repaired"], len(single))
        self.assertEqual(self.query(), today)
        self.assertEqual(figures(self.redrive())["windows"], 0)
        # A letter more than the checkpoint counted: something else happened to this table.
        with sqlite3.connect(self.table.removeprefix("sqlite:")) as table:
            offset = next(o for o in range(3_000) if o not in single)
            table.execute("INSERT INTO dead_letters VALUES (?, 1, 0, ?, NULL, 'wrong_type', '', NULL, ?)",
                          (self.topic, offset, values[offset]))
        refused = self.redrive(expect=65)
        self.assertIn("nothing was redriven", refused.stderr)
        self.assertEqual(self.query(), today)

    def event(self, records):
        """An on-failure document of some of the log's records, as an event source mapping leaves it."""
        def coded(text):
            return None if text is None else base64.b64encode(text.encode()).decode()

        batches = {}
        for record in records:
            batches.setdefault(f"{self.topic}-{record['partition']}", []).append({
                "topic": self.topic, "partition": record["partition"], "offset": record["offset"],
                "timestamp": record["ts"], "timestampType": "CREATE_TIME",
                "key": coded(record["key"]), "value": coded(record["payload"]), "headers": []})
        return {"requestContext": {"condition": "RetriesExhausted"}, "version": "1.0",
                "KafkaBatchInfo": {"batchSize": len(records)},
                "payload": {"eventSource": "SelfManagedKafka", "bootstrapServers": "b:9092", "records": batches}}

    def log_as_json(self):
        done = subprocess.run(["kcat", "-b", self.cluster.admin_bootstrap, "-C", "-t", self.topic, "-e", "-q", "-J"],
                              capture_output=True, check=True, timeout=60)
        return sorted(map(json.loads, done.stdout.splitlines()), key=lambda r: (r["partition"], r["offset"]))

    def test_batches_that_were_given_up(self):
        self.make_topic(1)
        self.produce("--devices", 30, "--disorder", "2s", "--bad-share", "0.01", count=2_000)
        given_up = self.directory / "given-up"
        given_up.mkdir()
        tables = []
        for table in (self.sqlite, self.table):
            self.table = table
            self.consume_to_end()
            tables.append(table)
        self.produce("--devices", 30, "--disorder", "2s", "--bad-share", "0.01", count=3_000)
        records = self.log_as_json()
        self.assertEqual(len(records), 5_000)
        # The second thousand comes before the first one, some records are in two documents, one payload is a text.
        for name, document in [("1", self.event(records[3_000:4_000])), ("2", self.event(records[2_000:3_100]))]:
            if name == "2":
                document["payload"] = json.dumps(document["payload"])
            (given_up / name).write_text(json.dumps(document), encoding="utf-8")
        contents = []
        for self.table in tables:
            dry = figures(self.redrive("--on-failure", str(given_up), "--dry-run"))
            self.assertEqual((dry["documents"], dry["records"]), (2, 2_100))
            self.assertEqual(self.checkpointed_in(self.table), 2_000)
            done = figures(self.redrive("--on-failure", str(given_up)))
            self.assertEqual(done["folded"] + done["dead_letters"], 2_000)
            self.assertEqual(done["filtered"], 100)
            self.assertEqual(self.checkpointed_in(self.table), 4_000)
            self.verify()
            again = figures(self.redrive("--on-failure", str(given_up)))
            self.assertEqual((again["filtered"], again["windows"]), (2_100, 0))
            self.consume_to_end()
            self.verify()
            contents.append((self.query(), self.dead_letters()))
        self.assertEqual(contents[0], contents[1])
        (given_up / "3").write_text(json.dumps({"KafkaBatchInfo": {}}), encoding="utf-8")
        refused = self.redrive(str(given_up), expect=65)
        self.assertIn("names the batch but does not hold it", refused.stderr)

    def test_what_the_checkpoints_passed_over_is_read_from_the_log(self):
        """Batches above others that were given up to a queue, whose documents hold no records."""
        self.make_topic(2)
        self.produce("--devices", 30, "--disorder", "2s", "--bad-share", "0.01", count=1_000)
        tables = [self.sqlite, self.table]
        for self.table in tables:
            self.consume_to_end()
        ends = self.cluster.end_offsets(self.topic)
        self.produce("--devices", 30, "--disorder", "2s", "--bad-share", "0.01", count=3_000)
        records = self.log_as_json()
        parts = [[r for r in records if r["partition"] == p] for p in (0, 1)]
        succeeded, queue = self.directory / "succeeded", self.directory / "queue"
        for folder in (succeeded, queue):
            folder.mkdir()
        for number, (partition, first) in enumerate([(0, 300), (0, 700), (1, 500)]):
            part = parts[partition][ends[partition] + first:][:200]
            (succeeded / str(number)).write_text(json.dumps(self.event(part)), encoding="utf-8")
        (queue / "0").write_text(json.dumps({"KafkaBatchInfo": {"batchSize": 10}}), encoding="utf-8")
        contents = []
        for self.table in tables:
            self.assertEqual(figures(self.redrive(succeeded))["filtered"], 0)
            before = self.checkpointed_in(self.table)
            self.assertEqual(before, 1_000, "nothing below the three batches is known to be folded")
            refused = self.redrive("-t", self.topic, expect=64)
            self.assertIn("--topic (-t) needs brokers", refused.stderr)
            dry = figures(self.redrive(queue, *self.kafka, "--dry-run"))
            self.assertEqual(self.checkpointed_in(self.table), before)
            done = figures(self.redrive(queue, *self.kafka))
            self.assertEqual((done["documents"], done["named"]), (1, 1))
            self.assertEqual(done["folded"] + done["dead_letters"] + done["late"], 700 - 200 + 500)
            self.assertEqual(done["records"], dry["records"])
            self.assertEqual(self.checkpointed_in(self.table), 1_000 + 900 + 700, "next absorbs what it has reached")
            self.verify()
            again = figures(self.redrive(*self.kafka))
            self.assertEqual((again["batches"], again["windows"]), (0, 0))
            self.consume_to_end()
            self.verify()
            contents.append((self.query(), self.dead_letters()))
        self.assertEqual(contents[0], contents[1])

    def checkpointed_in(self, table):
        if table.startswith("dynamodb:"):
            return self.checkpointed()
        with sqlite3.connect(table.removeprefix("sqlite:")) as connection:
            return connection.execute("SELECT sum(next) FROM checkpoints").fetchone()[0]


if __name__ == "__main__":
    main()
