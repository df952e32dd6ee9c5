# SPDX-License-Identifier: Apache-2.0
"""The broker restarts and disappears under load: nothing acknowledged is lost, nothing is counted twice."""
import time

from culvert_test.runner import main
from kafka_case import KafkaCase


class BrokerFaults(KafkaCase):
    def test_restart_under_load(self):
        self.make_topic()
        producer = self.start_culvert("produce", *self.kafka, "--devices", 100, "--rate", 5000, "--duration", "30s",
                                      "--disorder", "2s", name="producer")
        consumer = self.start_consumer("consumer", "--flush-interval", "100ms")
        self.wait_checkpointed(10_000, 60, "data flows", consumer)
        self.cluster.stop_node(1)
        time.sleep(3)
        self.cluster.restart(1)
        back = time.monotonic()
        before = self.checkpointed()
        self.wait_checkpointed(before + 5_000, 60, "progress after the restart", consumer)
        print(f"progress {time.monotonic() - back:.1f} s after the broker was ready again")
        self.assertEqual(producer.wait(120), 0, producer.tail())
        self.assertRegex(producer.stdout(), r"failed=0")
        self.assertEqual(consumer.stop(), 0)
        self.consume_to_end()
        self.verify()

    def test_killed_under_load(self):
        self.make_topic()
        producer = self.start_culvert("produce", *self.kafka, "--devices", 100, "--rate", 5000, "--duration", "20s",
                                      name="producer")
        consumer = self.start_consumer("consumer", "--flush-interval", "100ms")
        self.wait_checkpointed(10_000, 60, "data flows", consumer)
        self.cluster.kill(1)
        self.cluster.restart(1)
        self.assertEqual(producer.wait(120), 0, producer.tail())
        self.assertEqual(consumer.stop(), 0)
        self.consume_to_end()
        self.verify()


if __name__ == "__main__":
    main()
