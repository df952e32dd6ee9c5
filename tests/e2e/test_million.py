# SPDX-License-Identifier: Apache-2.0
"""A million records, and a consumer that is killed at random moments from its first millisecond on (seed printed)."""
import sqlite3
import time

from culvert_test.runner import main
from kafka_case import KafkaCase

RECORDS = 1_000_000
KILLS = 12


class Million(KafkaCase):
    def checkpointed_or_none(self):
        try:
            return self.checkpointed()
        except sqlite3.OperationalError:  # no consumer lived long enough to make the file
            return 0

    def test_killed_at_random_moments(self):
        self.make_topic()
        self.produce("--devices", 1000, "--disorder", "5s", "--bad-share", "0.001", count=RECORDS, timeout=300)
        seen = []
        for number in range(KILLS):
            process = self.start_consumer(f"killed{number}", "--flush-interval", "20ms", "-X",
                                          "session.timeout.ms=6000")
            before = self.checkpointed_or_none()
            if number % 4 == 3:  # at any time: while it starts, joins, loads its checkpoints
                time.sleep(self.random.uniform(0, 3))
            else:  # in the midst of reading, flushing and checkpointing
                target = min(before + self.random.randrange(1, RECORDS // KILLS), RECORDS)
                self.wait_checkpointed(target, 120, "some progress", process)
                time.sleep(self.random.uniform(0, 0.05))
            process.kill()
            seen.append(self.checkpointed_or_none())
        print(f"checkpointed at the kills: {seen}")
        self.assertEqual(seen, sorted(seen), "a checkpoint went back")
        self.assertGreater(len(set(seen)), KILLS // 2, "most kills hit a consumer at work")
        self.consume_to_end(timeout=300)
        self.assertEqual(self.checkpointed(), RECORDS)
        self.verify()
        before = self.query()
        self.consume_to_end("--replay-from", "earliest", timeout=300)
        self.assertEqual(self.query(), before)


if __name__ == "__main__":
    main()
