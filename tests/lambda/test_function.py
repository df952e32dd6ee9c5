# SPDX-License-Identifier: Apache-2.0
"""culvert-lambda as Lambda runs it, on DynamoDB Local: whatever happens, the table is a function of the records."""

import base64
import collections
import datetime
import json
import os
import random
import time
import unittest

from culvert_test import dynamodb, process, runner
from culvert_test.fault_proxy import FaultProxy, first_puts
from culvert_test.function import RuntimeApi, kafka_event, kafka_record, start_function

WINDOW_MS = 60_000
START_MS = 1_682_942_400_000
# Seconds that the table does not answer in the middle of a batch; the long run is for the slow tests.
OUTAGE_SECONDS = float(os.environ.get("CULVERT_OUTAGE_SECONDS", "4"))


def utc(milliseconds):
    seconds, rest = divmod(milliseconds, 1000)
    time_of_day = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f"{time_of_day:%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


class Readings:
    """Random readings in the order of their offsets, and what their windows must hold, from integers."""

    def __init__(self, seed, topic="readings"):
        self.random = random.Random(seed)
        self.topic = topic
        self.next_offset = collections.Counter()
        self.windows = {}
        self.clock_ms = START_MS

    def take(self, count, partition=0, devices=50):
        records = []
        for _ in range(count):
            device = self.random.randrange(devices)
            # In order within the out-of-orderness, so that nothing is late however batches are delivered.
            self.clock_ms += 10
            event_ms = self.clock_ms - self.random.randrange(2_000)
            micro = self.random.randrange(-50_000_000, 50_000_000)
            sign, magnitude = ("-", -micro) if micro < 0 else ("", micro)
            value = f"{sign}{magnitude // 1_000_000}.{magnitude % 1_000_000:06}"
            body = f'{{"device_id":{device},"timestamp":"{utc(event_ms)}","temperature":{value}}}'
            offset = self.next_offset[partition]
            self.next_offset[partition] += 1
            records.append(kafka_record(self.topic, partition, offset, body.encode(), timestamp=self.clock_ms))
            key = (device, utc(event_ms - event_ms % WINDOW_MS))
            n, total, low, high = self.windows.get(key, (0, 0, micro, micro))
            self.windows[key] = (n + 1, total + micro, min(low, micro), max(high, micro))
        return records


def micro_of(text):
    """A decimal with at most six digits behind the point, in millionths."""
    whole, _, fraction = text.partition(".")
    sign = -1 if whole.startswith("-") else 1
    return int(whole) * 1_000_000 + sign * int(fraction.ljust(6, "0"))


def cut(records, sizes, seed):
    """The same records in batches of random sizes."""
    chooser, at, batches = random.Random(seed), 0, []
    while at < len(records):
        size = chooser.choice(sizes)
        batches.append(records[at:at + size])
        at += size
    return batches


class FunctionTest(runner.CulvertTest):
    @classmethod
    def setUpClass(cls):
        cls.dynamodb = cls.shared(dynamodb.DynamoDbLocal())

    def setUp(self):
        super().setUp()
        self.table = self.id().rpartition(".")[2].replace("_", "-")
        self.dynamodb.create_table(self.table, ("device_id", "N"), ("window_start", "S"))
        self.dynamodb.create_table(f"{self.table}-checkpoints", ("stream", "S"), ("partition", "N"))
        self.dynamodb.create_table(f"{self.table}-dead-letters", ("position", "S"), ("offset", "N"))

    def start_api(self, **options):
        api = RuntimeApi(**options).start()
        self.addCleanup(api.stop)
        return api

    def start(self, api, concurrency=None, environment=None):
        started = start_function(
            api, {**self.dynamodb.environment, "CULVERT_TABLE": f"dynamodb:{self.table}", "CULVERT_WINDOW": "1m",
                  "CULVERT_OUT_OF_ORDERNESS": "10s", **(environment or {})}, concurrency=concurrency)
        self.addCleanup(started.kill)
        return started

    def succeed(self, invocation, timeout=120):
        kind, body = invocation.outcome(timeout)
        self.assertEqual((kind, body), ("response", {"batchItemFailures": []}))

    def stored_windows(self):
        return {(int(item["device_id"]["N"]), item["window_start"]["S"]): (
            int(item["count"]["N"]), micro_of(item["sum_temp"]["N"]), micro_of(item["min_temp"]["N"]),
            micro_of(item["max_temp"]["N"])) for item in self.dynamodb.scan(self.table)}

    def item_count(self):
        return self.dynamodb.call("Scan", {"TableName": self.table, "Select": "COUNT"})["Count"]

    def check(self, readings):
        self.assertEqual(self.stored_windows(), readings.windows)

    def checkpoint_next(self, partition=0):
        items = self.dynamodb.scan(f"{self.table}-checkpoints")
        return {int(item["partition"]["N"]): int(item["next"]["N"]) for item in items
                if item["stream"]["S"] == "readings@1"}[partition]

    def metrics(self, started):
        lines = [json.loads(line) for line in started.stdout().splitlines()]
        self.assertTrue(all("_aws" in line for line in lines), lines)
        return lines

    def test_events_of_both_sources(self):
        readings, api = Readings(1), self.start_api(chunked=True)
        started = self.start(api)
        records = readings.take(600, partition=0) + readings.take(400, partition=1)
        broken = [kafka_record("readings", 1, 400, b"not json"), kafka_record("readings", 1, 401, None)]
        self.succeed(api.invoke(kafka_event(records + broken)))
        self.succeed(api.invoke(kafka_event(readings.take(300, partition=0), managed=True)))
        self.check(readings)
        self.assertEqual((self.checkpoint_next(0), self.checkpoint_next(1)), (900, 402))
        reasons = sorted(item["reason"]["S"] for item in self.dynamodb.scan(f"{self.table}-dead-letters"))
        self.assertEqual(reasons, ["not_json", "tombstone"])

        # Once more, in other cuts: nothing changes, all of it is filtered.
        before = sorted(map(str, self.dynamodb.scan(self.table)))
        for batch in cut(records, [100, 250], seed=2):
            self.succeed(api.invoke(kafka_event(batch)))
        self.assertEqual(sorted(map(str, self.dynamodb.scan(self.table))), before)
        lines = self.metrics(started)
        self.assertEqual([lines[0][name] for name in ("records", "folded", "dead_letters", "cold_start", "failed")],
                         [1002, 1000, 2, 1, 0])
        self.assertEqual(sum(line["filtered"] for line in lines[2:]), 1000)
        self.assertEqual(sum(line["cold_start"] for line in lines), 1)
        self.assertTrue(started.alive)

        # The commands see the same.
        rows = self.culvert("query", "--table", f"dynamodb:{self.table}", "--format", "json", "--device", "7",
                            env=self.dynamodb.environment).stdout.splitlines()
        shown = {(row["device_id"], row["window_start"]): row["count"] for row in map(json.loads, rows)}
        self.assertEqual(shown, {key: window[0] for key, window in readings.windows.items() if key[0] == 7})

    def test_killed_in_mid_batch(self):
        """The table holds up its last writes, so that it is in mid-batch however late the kill comes; they are carried
        out while its successor works."""
        readings, api = Readings(3), self.start_api()
        proxy = self.own(FaultProxy(self.dynamodb.port))
        environment = {"AWS_ENDPOINT_URL_DYNAMODB": proxy.endpoint}
        records = readings.take(2_400, devices=1_000)
        for round_number in range(2):
            wanted = 150 * (round_number + 1)
            proxy.policy = first_puts(wanted + 50 * (round_number + 1))
            started = self.start(api, environment=environment)
            batch = api.invoke(kafka_event(records[:1_800 + 300 * round_number]))
            process.wait_until(lambda: self.item_count() >= wanted and proxy.counts["hold"] > 0, 60,
                               f"{wanted} items are written", started, interval=0.1)
            self.assertFalse(batch.answered)
            started.kill()
        proxy.policy = lambda operation: None
        self.start(api, environment=environment)
        proxy.release()
        for batch in cut(records, [500, 700, 1_100], seed=4):
            self.succeed(api.invoke(kafka_event(batch)))
        self.check(readings)
        self.assertEqual(self.checkpoint_next(), 2_400)

    def test_deadline_fails_the_batch_in_order(self):
        readings, api = Readings(5), self.start_api()
        started = self.start(api)
        self.succeed(api.invoke(kafka_event(readings.take(10))))
        records = readings.take(200)
        self.dynamodb.pause()
        try:
            batch = api.invoke(kafka_event(records), seconds=8)
            kind, body = batch.outcome(60)
        finally:
            self.dynamodb.resume()
        self.assertEqual((kind, sorted(body)), ("error", ["errorMessage", "errorType", "stackTrace"]))
        # Before Lambda would have ended it, and not at once: it tried as long as it could.
        took = batch.answered_at - batch.delivered_at
        self.assertLess(took, 8)
        self.assertGreater(took, 6)
        self.assertTrue(started.alive)
        self.succeed(api.invoke(kafka_event(records)))
        self.check(readings)
        self.assertEqual([line["failed"] for line in self.metrics(started)], [0, 1, 0])

    def test_table_does_not_answer_for_a_while(self):
        readings, api = Readings(6), self.start_api()
        self.start(api)
        self.succeed(api.invoke(kafka_event(readings.take(10))))
        self.dynamodb.pause()
        try:
            batch = api.invoke(kafka_event(readings.take(500, devices=300)), seconds=OUTAGE_SECONDS + 60)
            self.assertTrue(batch.delivered.wait(30))
            time.sleep(OUTAGE_SECONDS)
            self.assertFalse(batch.answered)
        finally:
            self.dynamodb.resume()
        self.succeed(batch, OUTAGE_SECONDS + 60)
        self.check(readings)

    def test_table_cannot_be_reached(self):
        api = self.start_api()
        nowhere = "http://127.0.0.1:9"
        started = self.start(api, environment={"AWS_ENDPOINT_URL_DYNAMODB": nowhere})
        for _ in range(2):
            kind, body = api.invoke(kafka_event(Readings(7).take(10)), seconds=2).outcome()
            self.assertEqual((kind, body["errorType"]), ("error", "Culvert.Unavailable"))
            self.assertIn(nowhere, body["errorMessage"])
        self.assertTrue(started.alive)

    def test_several_loops_at_once(self):
        readings, api = Readings(8), self.start_api()
        started = self.start(api, concurrency=4)
        # Four partitions that share their devices: each item is written by all loops.
        batches = [kafka_event(readings.take(150, partition=number % 4, devices=20)) for number in range(24)]
        for round_start in range(0, 24, 4):
            for invocation in [api.invoke(batch) for batch in batches[round_start:round_start + 4]]:
                self.succeed(invocation)
        self.check(readings)
        conflicts = sum(line["conflicts"] for line in self.metrics(started))
        self.assertGreater(conflicts, 0)

    def test_two_functions_and_duplicates(self):
        readings, api = Readings(9), self.start_api()
        self.start(api)
        self.start(api)
        records = readings.take(2_000, devices=40)
        batches = [kafka_event(batch) for batch in cut(records, [200, 300], seed=10) for _ in range(2)]
        for pair in range(0, len(batches), 2):
            for invocation in [api.invoke(batches[pair]), api.invoke(batches[pair + 1])]:
                self.succeed(invocation)
        self.check(readings)
        self.assertEqual(self.checkpoint_next(), 2_000)

    def test_a_malformed_event_fails_and_nothing_of_it_is_stored(self):
        api = self.start_api()
        self.start(api)
        event = kafka_event(Readings(11).take(10))
        event["records"]["readings-0"][5]["value"] = "!"
        for payload in (json.dumps(event).encode(), b"", b"{}", b'{"eventSource":"aws:sqs","records":{}}'):
            kind, body = api.invoke(payload).outcome()
            self.assertEqual((kind, body["errorType"]), ("error", "Culvert.Data"))
            self.assertIn("invocation event", body["errorMessage"])
        self.assertEqual(self.dynamodb.scan(self.table), [])

    def test_another_definition_is_refused(self):
        api = self.start_api()
        first = self.start(api)
        self.succeed(api.invoke(kafka_event(Readings(12).take(10))))
        first.kill()
        self.start(api, environment={"CULVERT_WINDOW": "5m"})
        kind, body = api.invoke(kafka_event(Readings(12).take(20))).outcome()
        self.assertEqual((kind, body["errorType"]), ("error", "Culvert.Data"))
        self.assertIn("definition", body["errorMessage"])

    def test_wrong_environment_is_an_init_error(self):
        for variables, expected in (({"CULVERT_WINDWO": "1m"}, "CULVERT_WINDOW"),
                                    ({"CULVERT_ROLE": "consum"}, "consume"),
                                    ({"CULVERT_TABLE": ""}, "CULVERT_TABLE is not set"),
                                    ({"AWS_CA_BUNDLE": "/nowhere", "AWS_ENDPOINT_URL_DYNAMODB": "https://t.example"},
                                     "/nowhere")):
            api = self.start_api()
            started = self.start(api, environment=variables)
            self.assertEqual(started.wait(30), 78, variables)
            self.assertIn(expected, api.init_errors.get(timeout=10)["errorMessage"])
            self.assertFalse(api.first_next.is_set())

    def test_secrets_and_payloads_are_not_logged(self):
        api = self.start_api()
        markers = ["AKIAMARKERMARKER", "markersecretmarkersecret", "markertokenmarkertoken"]
        started = self.start(api, environment=dict(zip(
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), markers)))
        readings = Readings(13)
        records = readings.take(20) + [
            kafka_record("readings", 0, 20, b'{"device_id":"markerdevice","markerfield":1}', key=b"markerkey",
                         headers=[("markerheader", b"x")])]
        self.succeed(api.invoke(kafka_event(records)))
        outcomes = [api.invoke(b'{"markerevent":"markerevent').outcome()]
        self.dynamodb.call("DeleteTable", {"TableName": self.table})
        outcomes.append(api.invoke(kafka_event(readings.take(30)), seconds=5).outcome())
        self.assertEqual([kind for kind, _ in outcomes], ["error", "error"])
        said = started.stderr() + started.stdout() + json.dumps(outcomes)
        for line in started.stderr().splitlines():
            self.assertLessEqual({"timestamp", "level", "message", "service"}, set(json.loads(line)))
        self.assertIn('"level":"DEBUG"', said)
        # The access key's id is no secret, and is named where a policy refuses it; here none does.
        encoded = base64.b64encode(b'{"device_id":"marker').decode()
        for marker in (*markers, "marker", encoded, '"temperature', "device_id\\"):
            self.assertNotIn(marker, said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
