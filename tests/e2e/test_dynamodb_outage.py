# SPDX-License-Identifier: Apache-2.0
"""What takes its minute: a table that is gone for half of one, and records that grow too old while a function fails."""
import json
import re
import time

from culvert_test.fault_proxy import FaultProxy
from culvert_test.process import wait_until
from culvert_test.runner import main
from bridge_case import BridgeCase
from dynamodb_case import DynamoDbCase
from test_bridge_function import FUNCTION
from test_consume import HARD
from test_dynamodb_faults import MEBI, resident

DOWN_SECONDS = 30
RECOVERY_SECONDS = 30


class TableOutage(DynamoDbCase):
    def setUp(self):
        super().setUp()
        self.proxy = self.own(FaultProxy(self.dynamodb.port))
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = self.proxy.endpoint

    def start_producer(self):
        return self.start_culvert("produce", *self.kafka, "--devices", 300, "--rate", 3_000, "--duration", "1h", *HARD,
                                  name="producer")

    def outage(self, worker):
        """The table goes and comes back; returns the largest resident size meanwhile."""
        self.wait_checkpointed(10_000, 60, "the first records are in the table", worker)
        most = 0
        self.proxy.set_down(True)
        ends = time.monotonic() + DOWN_SECONDS
        while time.monotonic() < ends:
            self.assertTrue(worker.alive, worker.tail())
            most = max(most, resident(worker))
            time.sleep(0.5)
        behind = self.checkpointed()
        self.proxy.set_down(False)
        self.wait_checkpointed(behind + 2_000, RECOVERY_SECONDS, "it goes on by itself", worker)
        return most

    def finish(self, producer, worker, *options):
        self.assertEqual(producer.stop(), 0)
        total = sum(self.cluster.end_offsets(self.topic).values())
        self.wait_checkpointed(total, 120, "everything is in the table", worker)
        self.assertEqual(worker.stop(timeout=30), 0, worker.tail())
        self.verify()
        self.assertEqual((self.query(), self.dead_letters()), self.in_sqlite(*options))

    def test_consume_waits_for_a_table_that_is_gone(self):
        self.make_topic()
        producer = self.start_producer()
        consumer = self.start_consumer("consumer", "--flush-interval", "100ms", "--window", "10s",
                                       "--memory-limit", "192MiB")
        self.wait_checkpointed(5_000, 60, "it runs", consumer)
        quiet = resident(consumer)
        most = self.outage(consumer)
        self.assertLess(most - quiet, 64 * MEBI, "memory grew while the table was gone")
        self.finish(producer, consumer, "--window", "10s")

    def test_a_function_fails_its_batches_until_the_table_is_back(self):
        self.make_topic()
        producer = self.start_producer()
        bridge = self.start_culvert("bridge", *self.kafka, "-G", self.topic, "--function", FUNCTION, "--create-table",
                                    "--env", f"CULVERT_TABLE={self.table}", "--env", "CULVERT_WINDOW=10s",
                                    "--batch-size", 1_000, "--concurrency", 2, "--timeout", "5s", name="bridge")
        self.outage(bridge)
        self.assertIn("an invocation failed", bridge.stderr())
        self.finish(producer, bridge, "--window", "10s")


class RecordAge(BridgeCase):
    def test_records_that_grow_too_old_are_given_up_with_their_document(self):
        """One minute is the least that the service allows."""
        self.make_topic(1)
        self.put(0, ["fine", "poison:x"])
        target = self.directory / "discarded"
        bridge = self.start_bridge("--mode", "provisioned", "--maximum-record-age", "1m", "--maximum-retry-attempts",
                                   10_000, "--batch-size", 1, "--on-failure", target)
        began = time.monotonic()
        wait_until(lambda: target.is_dir() and any(target.glob("*.json")), 120, "the record is given up", bridge)
        self.assertGreater(time.monotonic() - began, 50, "not before its time")
        self.put(0, ["young"])
        self.wait_calls(1, bridge)
        wait_until(lambda: self.offsets() == {0: 3}, 60, "the position passes the record", bridge)
        self.assertEqual(bridge.stop(), 0)
        self.assertEqual(self.delivered(self.calls()), {(0, 0): 1, (0, 2): 1})
        tried = sum(call.records == [(0, 1)] for call in self.calls())
        self.assertGreater(tried, 3, "it was tried as long as it was young")
        files = list(target.iterdir())
        self.assertEqual(len(files), 1, files)
        document = json.loads(files[0].read_text(encoding="utf-8"))
        self.assertEqual(document["requestContext"]["condition"], "RecordAgeExceeded")
        self.assertEqual(document["requestContext"]["approximateInvokeCount"], tried)
        self.assertEqual(self.values(json.loads(document["payload"])), {(0, 1): "poison:x"})
        self.assertEqual(document["KafkaBatchInfo"]["recordInfo"]["offset"], "1")
        self.assertTrue(re.search("a batch is discarded.*record age", bridge.stderr()), bridge.tail())


if __name__ == "__main__":
    main()
