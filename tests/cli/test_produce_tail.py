# SPDX-License-Identifier: Apache-2.0
"""produce and tail against a real broker."""

import json
import re
import signal
import time

from culvert_test.kafka import KafkaCluster
from culvert_test.process import wait_until
from culvert_test.runner import CulvertTest, main

START = "2026-01-01T00:00:00Z"


class ProduceTail(CulvertTest):
    @classmethod
    def setUpClass(cls):
        cls.kafka = cls.shared(KafkaCluster(secure=False))

    def produce(self, topic, *arguments, expect=0, **options):
        done = self.culvert("produce", "-b", self.kafka.bootstrap, "-t", topic, *arguments, timeout=60, expect=expect,
                            **options)
        return done, {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", done.stdout)}

    def tail(self, topic, *arguments):
        done = self.culvert("tail", "-b", self.kafka.bootstrap, "-t", topic, "-e", "--format", "json", *arguments)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_every_record_arrives_in_the_references_shape_keyed_by_device(self):
        _, figures = self.produce("shape", "--create-topic", "4", "--count", "5000", "--rate", "max", "--devices", "50",
                                  "--start-time", START)
        self.assertEqual((figures["acknowledged"], figures["failed"], figures["unknown"]), (5000, 0, 0))
        records = self.tail("shape", "-o", "beginning")
        self.assertEqual(len(records), 5000)
        partitions = {}
        for record in records:
            value = json.loads(record["value"])
            self.assertEqual(list(value), ["device_id", "timestamp", "temperature"])
            self.assertEqual(record["key"], str(value["device_id"]))
            self.assertRegex(value["timestamp"], r"^2026-01-01T00:00:0\d(\.\d{6})?$")
            self.assertIsInstance(value["temperature"], float)
            self.assertEqual(record["value"], json.dumps(value))
            partitions.setdefault(record["key"], set()).add(record["partition"])
        self.assertEqual(len(partitions), 50)
        self.assertTrue(all(len(where) == 1 for where in partitions.values()), "a device has one partition")
        self.assertEqual({n for where in partitions.values() for n in where}, {0, 1, 2, 3})

    def test_a_seed_makes_the_same_records_again(self):
        options = ["--create-topic", "1", "--count", "300", "--rate", "max", "--seed", "7", "--start-time", START,
                   "--disorder", "5s", "--bad-share", "5%"]
        first, figures = self.produce("seed-1", *options)
        self.produce("seed-2", *options)
        records = [[(r["key"], r.get("value"), r.get("value_base64")) for r in self.tail(t, "-o", "beginning")]
                   for t in ("seed-1", "seed-2")]
        self.assertEqual(records[0], records[1])
        self.assertGreater(figures["bad"], 5, first)

    def test_tail_begins_where_it_is_told(self):
        self.produce("begin", "--create-topic", "2", "--count", "100", "--rate", "max")
        everything = self.tail("begin", "-o", "beginning")
        self.assertEqual(len(everything), 100)
        ends = {p: sum(1 for r in everything if r["partition"] == p) for p in (0, 1)}
        last = self.tail("begin", "-o", "-3")
        self.assertEqual(sorted((r["partition"], r["offset"]) for r in last),
                         sorted((p, ends[p] - n) for p in (0, 1) for n in (1, 2, 3)))
        self.assertEqual([r["offset"] for r in self.tail("begin", "-p", "1", "-o", "5", "-c", "2")], [5, 6])
        self.assertEqual(self.tail("begin", "-o", "end"), [])
        self.assertEqual(len(self.tail("begin", "-o", "2020-01-01T00:00:00Z")), 100)
        self.assertEqual(self.tail("begin", "-o", "2090-01-01T00:00:00Z"), [])
        result = self.culvert("tail", "-b", self.kafka.bootstrap, "-t", "begin", "-p", "2", expect=64)
        self.assertIn("has partitions 0 to 1", result.stderr)

    def test_tail_follows_what_comes(self):
        self.produce("follow", "--create-topic", "1", "--count", "5", "--rate", "max")
        tail = self.start_culvert("tail", "-b", self.kafka.bootstrap, "-t", "follow", "-o", "-1", "--format", "value")
        tail.wait_for("temperature", timeout=20)
        self.assertEqual(len(tail.stdout().splitlines()), 1)
        self.produce("follow", "--count", "4", "--rate", "max")
        tail.wait_for(r"(temperature.*\n.*){5}", timeout=20)
        tail.signal(signal.SIGTERM)
        self.assertEqual(tail.wait(30), 0)

    def test_a_rate_is_kept_and_a_signal_ends_in_order(self):
        self.produce("rate", "--create-topic", "1", "--count", "1", "--rate", "max")
        begun = time.monotonic()
        _, figures = self.produce("rate", "--rate", "500", "--duration", "2s")
        self.assertEqual(figures["acknowledged"], 1000)
        self.assertGreater(time.monotonic() - begun, 1.9)
        process = self.start_culvert("produce", "-b", self.kafka.bootstrap, "-t", "rate", "--rate", "1000")
        wait_until(lambda: self.kafka.end_offsets("rate")[0] > 1 + 1000 + 100, 60, "some were sent", process)
        process.signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0, process.tail())
        sent = int(re.search(r"acknowledged=(\d+) failed=0 unknown=0", process.stdout())[1])
        self.assertEqual(len(self.tail("rate", "-o", "beginning")), 1 + 1000 + sent)

    def test_a_topic_that_is_not_there_is_named(self):
        for command in ("produce", "tail"):
            done = self.culvert(command, "-b", self.kafka.bootstrap, "-t", "absent", expect=78)
            self.assertIn("topic 'absent': does not exist", done.stderr)

    def test_an_existing_topic_is_left_as_it_is(self):
        self.produce("kept", "--create-topic", "2", "--count", "1", "--rate", "max")
        done, _ = self.produce("kept", "--create-topic", "3", "--count", "1", "--rate", "max")
        self.assertIn("another number of partitions", done.stderr)
        self.assertEqual(len(self.tail("kept", "-o", "beginning")), 2)


if __name__ == "__main__":
    main()
