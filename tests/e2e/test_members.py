# SPDX-License-Identifier: Apache-2.0
"""Static members of a group (group.instance.id): a restart moves nothing, and the second of one name ends the first."""
import re

from culvert_test.runner import main
from kafka_case import KafkaCase

HARD = ("--disorder", "5s", "--late-share", "0.002", "--bad-share", "0.001")


class StaticMembers(KafkaCase):
    def member(self, name, instance):
        # A session that no test outlives: whoever comes back does so by its name, not because a time was over.
        return self.start_consumer(name, "--flush-interval", "100ms", "-X", f"group.instance.id={instance}",
                                   "-X", "session.timeout.ms=300000")

    def start_producer(self):
        return self.start_culvert("produce", *self.kafka, "--devices", 100, "--rate", 4000, "--duration", "10m", *HARD,
                                  name="producer")

    def go_on(self, process):
        self.wait_checkpointed(self.checkpointed() + 1_000, 60, "more is folded", process)

    def verify_all(self, process):
        """Nothing is lost and nothing doubled; the other members have ended."""
        total = sum(self.cluster.end_offsets(self.topic).values())
        self.wait_checkpointed(total, 60, "all is folded", process)
        self.assertEqual(process.stop(), 0, process.tail())
        self.verify()

    def test_a_member_that_is_restarted_gets_its_partitions_and_nobody_else_notices(self):
        self.make_topic()
        first = self.member("first", "one")
        first.wait_for('partitions assigned","count":4', 60)
        second = self.member("second", "two")
        for process in (first, second):
            process.wait_for('partitions assigned","count":2', 60)
        before = len(re.findall("partitions (?:assigned|revoked|lost)", first.stderr()))
        producer = self.start_producer()
        self.go_on(second)
        for round_number, end in enumerate((second.stop, second.kill)):
            end()
            second = self.member(f"second{round_number}", "two")
            second.wait_for('partitions assigned","count":2', 60)
            self.go_on(second)
        self.assertEqual(len(re.findall("partitions (?:assigned|revoked|lost)", first.stderr())), before, first.tail())
        self.assertEqual(producer.stop(), 0)
        total = sum(self.cluster.end_offsets(self.topic).values())
        self.wait_checkpointed(total, 60, "all is folded", second)
        self.assertEqual(first.stop(), 0)
        self.verify_all(second)

    def test_the_second_of_one_name_ends_the_first(self):
        self.make_topic()
        producer = self.start_producer()
        first = self.member("first", "one")
        first.wait_for('partitions assigned","count":4', 60)
        self.go_on(first)
        second = self.member("second", "one")
        second.wait_for('partitions assigned","count":4', 60)
        self.assertEqual(first.wait(60), 78, first.tail())
        self.assertRegex(first.stderr(), r"group '[^']*'\): another consumer joined with the same group\.instance\.id.*"
                                         r"give each consumer its own")
        self.go_on(second)
        self.assertEqual(producer.stop(), 0)
        self.verify_all(second)


if __name__ == "__main__":
    main()
