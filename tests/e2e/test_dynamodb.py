# SPDX-License-Identifier: Apache-2.0
"""--table dynamodb:NAME does what --table sqlite:FILE does, to the byte: real Kafka, DynamoDB Local."""
import json

from culvert_test.runner import main
from dynamodb_case import DynamoDbCase
from test_consume import HARD


class DynamoDb(DynamoDbCase):
    def test_same_bytes_as_sqlite(self):
        self.make_topic()
        self.produce("--devices", 150, *HARD, count=30_000)
        self.consume_to_end()
        self.verify()
        windows, letters = self.query(), self.dead_letters()
        self.assertGreater(len(windows.splitlines()), 140)
        self.assertGreater(len(letters), 30)
        self.assertEqual((windows, letters), self.in_sqlite())
        # Nothing is folded twice by a replay of the whole log, and not a byte changes.
        replay = self.consume_to_end("--replay-from", "earliest")
        self.assertIn('"filtered":30000', replay.stderr)
        self.assertEqual((self.query(), self.dead_letters()), (windows, letters))

    def test_hopping_windows_of_text_devices_with_names_of_their_own(self):
        self.make_topic(2)
        records = "".join(
            json.dumps({"sensor": f"röhre {i % 7}", "at": 1_795_449_420_000 + 500 * i, "load": i / 8}) + "\n"
            for i in range(600))
        (self.directory / "records").write_text(records, encoding="utf-8")
        self.produce_lines("records")
        options = ("--key-type", "string", "--device-field", "sensor", "--timestamp-field", "at", "--timestamp-unit",
                   "ms", "--value-field", "load", "--value-name", "load", "--window", "60s", "--advance", "20s")
        self.consume_to_end(*options)
        self.verify()
        windows, letters = self.query(), self.dead_letters()
        self.assertIn('"avg_load":', windows)
        self.assertEqual((windows, letters), self.in_sqlite(*options))
        one = self.culvert("query", "--table", self.table, "--format", "json", "--device", "röhre 3").stdout
        self.assertEqual(one, "".join(line + "\n" for line in windows.splitlines() if "röhre 3" in line))
        item = self.dynamodb.scan(self.table_name)[0]
        self.assertLessEqual({"device_id", "window_start", "window_stop", "avg_load", "count", "fences"}, item.keys())
        self.assertNotIn("expires_at", item)

    def test_expiry_is_written_when_asked_for(self):
        self.make_topic(1)
        self.produce("--devices", 3, count=300)
        refused = self.consume_to_end("--expire-after", "30m", expect=64)
        self.assertIn("longer than --allowed-lateness", refused.stderr)
        self.consume_to_end("--expire-after", "30d")
        self.verify()
        for line, item in zip(self.query().splitlines(), sorted(
                self.dynamodb.scan(self.table_name), key=lambda i: (int(i["device_id"]["N"]), i["window_start"]["S"])),
                strict=True):
            self.assertEqual(json.loads(line)["window_stop"], item["window_stop"]["S"])
            self.assertGreater(int(item["expires_at"]["N"]), 30 * 86_400)
        expiry = self.dynamodb.call("DescribeTimeToLive", {"TableName": self.table_name})["TimeToLiveDescription"]
        self.assertEqual((expiry["AttributeName"], expiry["TimeToLiveStatus"]), ("expires_at", "ENABLED"))

    def test_killed_at_a_random_moment_and_a_second_member(self):
        self.make_topic()
        self.produce("--devices", 200, *HARD, count=60_000)
        options = ("--flush-interval", "20ms", "--window", "1s", "-X", "session.timeout.ms=6000")
        process = self.start_consumer("killed", *options)
        self.wait_checkpointed(1, 60, "the first checkpoint", process)
        target = min(self.checkpointed() + self.random.randrange(1, 20_000), 55_000)
        self.wait_checkpointed(target, 60, "some progress", process)
        process.kill()
        second = self.start_consumer("second", *options)
        self.consume_to_end(*options)
        self.assertEqual(second.stop(), 0)
        self.verify()

    def test_what_is_wrong_is_named(self):
        self.make_topic(1)
        self.produce("--devices", 2, count=10)
        missing = ["consume", *self.kafka, "-G", self.topic, "--table", self.table, "--exit-at-end"]
        for code, message, words, env in [
                (78, f"'{self.table_name}', '{self.table_name}-checkpoints', '{self.table_name}-dead-letters': not "
                     "found in us-east-1", missing, {}),
                (78, "no AWS region", missing, {"AWS_REGION": ""}),
                (77, "AWS credentials: none found", missing,
                 {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}),
                (78, "not found", ["query", "--table", self.table], {}),
                (64, "--region is of tables in DynamoDB", ["query", "--table", "sqlite:x.db", "--region", "x"], {})]:
            done = self.culvert(*words, expect=code, env=env)
            self.assertIn(message, done.stderr)
        unreachable = self.culvert("query", "--table", self.table, "--endpoint-url", "http://127.0.0.1:1", expect=69)
        self.assertIn("http://127.0.0.1:1: cannot connect", unreachable.stderr)
        self.dynamodb.create_table(f"{self.table_name}-checkpoints", ("stream", "S"), ("partition", "S"))
        wrong = self.consume_to_end(expect=78)
        self.assertIn("its sort key is partition (S), but must be stream (S) and partition (N)", wrong.stderr)


if __name__ == "__main__":
    main()
