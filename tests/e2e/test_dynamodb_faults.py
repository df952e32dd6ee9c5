# SPDX-License-Identifier: Apache-2.0
"""consume to DynamoDB through a proxy that fails in every way at hand: the table stays exact, memory flat, and the
program goes on by itself."""
import datetime
import pathlib
import re
import time

from culvert_test.fault_proxy import FaultProxy, shares
from culvert_test.process import wait_until
from culvert_test.runner import main
from dynamodb_case import DynamoDbCase
from test_consume import HARD

MEBI = 1 << 20


def resident(process):
    """Bytes."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


class DynamoDbFaults(DynamoDbCase):
    def setUp(self):
        super().setUp()
        self.proxy = self.own(FaultProxy(self.dynamodb.port))
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = self.proxy.endpoint
        # A token that is refused must be one that can be fetched anew.
        self.environment["AWS_SESSION_TOKEN"] = "token"

    def met(self, names, at_least, process, timeout=60):
        """Waits until each of the faults has hit so many calls from now on."""
        before = self.proxy.counts.copy()
        wait_until(lambda: all(self.proxy.counts[n] - before[n] >= at_least for n in names), timeout,
                   f"{at_least} calls met each of {', '.join(names)}", process)

    def test_every_fault_one_after_the_other(self):
        self.make_topic()
        producer = self.start_culvert("produce", *self.kafka, "--devices", 300, "--rate", 3_000, "--duration", "1h",
                                      *HARD, name="producer")
        consumer = self.start_consumer("consumer", "--flush-interval", "100ms", "--window", "10s",
                                       "--memory-limit", "192MiB")
        self.wait_checkpointed(10_000, 60, "the first records are in the table", consumer)
        quiet = resident(consumer)
        most = quiet
        proxy = self.proxy

        def phase(policy, names, at_least, heal=True):
            nonlocal most
            proxy.policy = policy
            self.met(names, at_least, consumer)
            most = max(most, resident(consumer))
            if not heal:
                return
            proxy.policy = lambda operation: None
            self.wait_checkpointed(self.checkpointed() + 2_000, 60, f"progress after {', '.join(names)}", consumer)
            most = max(most, resident(consumer))

        lossy = ("reset", "reset_after_apply", "error_500", "error_500_after_apply", "error_503", "half_body")
        phase(shares(self.random, **{name: 0.07 for name in lossy}), lossy, 30)
        phase(shares(self.random, throttle=0.9), ("throttle",), 90)
        phase(shares(self.random, expired_token=0.02), ("expired_token",), 3)
        phase(shares(self.random, slow=1.0), ("slow",), 24)
        for hours in (1, -1, 0):
            proxy.clock_offset = datetime.timedelta(hours=hours)
            phase(lambda operation: None, ("clock",), 1)
        proxy.set_down(True)
        self.met((), 0, consumer)
        consumer.wait_for("a flush did not finish and is tried again", 60)
        most = max(most, resident(consumer))
        proxy.set_down(False)
        self.wait_checkpointed(self.checkpointed() + 2_000, 60, "progress after it was down", consumer)

        # Everything at once, and then the end of the log.
        phase(shares(self.random, throttle=0.3, **{name: 0.04 for name in lossy}), lossy, 30, heal=False)
        self.assertEqual(producer.stop(), 0)
        proxy.policy = lambda operation: None
        total = sum(self.cluster.end_offsets(self.topic).values())
        self.wait_checkpointed(total, 120, "everything is in the table", consumer)
        self.assertEqual(consumer.stop(), 0)
        self.assertLess(most - quiet, 64 * MEBI, "memory grew while the table failed")
        self.verify()
        self.assertEqual((self.query(), self.dead_letters()), self.in_sqlite("--window", "10s"))
        print(f"calls: {dict(self.proxy.counts)}; resident: {quiet / MEBI:.0f} MiB before, {most / MEBI:.0f} at most")

    def test_stop_does_not_wait_for_a_table_that_hangs(self):
        self.make_topic(1)
        self.produce("--devices", 20, count=2_000)
        self.proxy.policy = lambda operation: None
        consumer = self.start_consumer("consumer", "--flush-interval", "50ms")
        self.wait_checkpointed(2_000, 60, "everything is in the table", consumer)
        self.proxy.slow_seconds = 60
        self.proxy.policy = shares(self.random, slow=1.0)
        self.produce("--devices", 20, count=2_000)
        self.met(("slow",), 1, consumer)
        began = time.monotonic()
        self.assertEqual(consumer.stop(timeout=30), 0, consumer.tail())
        self.assertLess(time.monotonic() - began, 12, consumer.tail())
        self.proxy.policy = lambda operation: None
        self.consume_to_end()
        self.verify()


if __name__ == "__main__":
    main()
