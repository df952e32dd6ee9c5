# SPDX-License-Identifier: Apache-2.0
"""A compacted topic, really compacted: what was folded before it was removed stays in the table, what was removed
before is in no window, everything ends, and whoever may ask for the topic's settings says what happened."""
import json
import re

from culvert_test.kafka import KafkaCluster
from culvert_test.process import wait_until
from culvert_test.runner import main
from kafka_case import USER, KafkaCase

# A segment for each batch of the producer, and whatever is not the last of them is compacted at once.
COMPACTED = {"segment.ms": "1", "min.cleanable.dirty.ratio": "0",
             "max.compaction.lag.ms": "1", "delete.retention.ms": "0"}
RECORDS = 3_000


class Compaction(KafkaCase):
    @classmethod
    def make_cluster(cls):
        return KafkaCluster(config={"log.cleaner.backoff.ms": 100})

    def make_compacted_topic(self, policy="compact"):
        self.cluster.create_topic(self.topic, 1, {**COMPACTED, "cleanup.policy": policy})
        self.cluster.acl(USER, ["READ", "WRITE", "DESCRIBE"], topic=self.topic)
        self.cluster.acl(USER, ["READ"], group=self.topic)

    def may_ask(self):
        self.cluster.acl(USER, ["DESCRIBE_CONFIGS"], topic=self.topic)

    def compact(self):
        """Waits until the broker has compacted all but the last record; returns what is left and the log's end."""
        self.produce("--devices", 1, count=1)
        end = self.cluster.end_offsets(self.topic)[0]
        checkpoint = self.cluster.node(1).directory / "data" / "cleaner-offset-checkpoint"

        def clean():
            text = checkpoint.read_text(encoding="ascii") if checkpoint.exists() else ""
            found = re.search(rf"^{re.escape(self.topic)} 0 (\d+)$", text, re.MULTILINE)
            return found and int(found[1]) >= end - 1

        wait_until(clean, 60, "the log is compacted", process=self.cluster.node(1).process)
        left = len(self.records_by_kcat())
        self.assertLess(left, 100)
        return left, end

    def figures(self, expect):
        done = self.culvert("verify", *self.kafka, "--table", self.table, "--format", "json", timeout=60, expect=expect)
        return json.loads(done.stdout)

    def doctor(self):
        done = self.culvert("doctor", *self.kafka, "-G", self.topic, "--table", self.table, "--format", "json",
                            timeout=60)
        return {hop["hop"]: hop for hop in map(json.loads, done.stdout.splitlines()) if "hop" in hop}

    def test_what_was_folded_before_it_was_removed_stays(self):
        self.make_compacted_topic("delete")  # so that nothing is removed too early
        self.produce("--devices", 20, "--bad-share", "0.05", count=RECORDS)
        first = self.consume_to_end()
        self.assertNotIn("compacted", first.stderr, "this user may not ask for the topic's settings")
        self.assertGreater(self.figures(expect=0)["equal"], 0)
        self.cluster.alter_topic(self.topic, {"cleanup.policy": "compact"})
        left, end = self.compact()

        self.consume_to_end()
        self.assertEqual(self.checkpointed(), end)
        before, letters = self.query(), self.dead_letters()
        self.assertEqual(sum(json.loads(line)["count"] for line in before.splitlines()) + len(letters), end)
        replay = self.consume_to_end("--replay-from", "earliest")
        self.assertIn(f'"records":{left},', replay.stderr.splitlines()[-1])
        for options in ([], [*self.kafka]):
            self.culvert("dead-letters", "redrive", "--table", self.table, *options, timeout=60)
        self.assertEqual(self.query(), before)
        self.assertEqual(self.dead_letters(), letters)

        gone = f"{end - left} of the {end} records that were folded are not in the log any more"
        figures = self.figures(expect=65)
        self.assertRegex(figures["not_fully_verifiable"][0], f"{gone}: is the topic compacted")
        self.assertNotIn("compacted", self.doctor()["topic"]["found"])
        self.may_ask()
        figures = self.figures(expect=0)
        self.assertRegex(figures["not_fully_verifiable"][0], f"{gone}: the topic is compacted$")
        self.assertEqual(figures["windows"], figures["equal"] + figures["unverifiable"])
        self.assertGreater(figures["unverifiable"], 0)
        hops = self.doctor()
        self.assertRegex(hops["topic"]["found"], "it is compacted")
        self.assertRegex(hops["position"]["found"], "1 checkpoint is inside the log; 0 records behind")

    def test_what_was_removed_before_it_was_read_is_in_no_window(self):
        """Nor is it missed: offsets that hold nothing look like those of transactions' markers."""
        self.make_compacted_topic()
        self.may_ask()
        self.produce("--devices", 20, count=RECORDS)
        left, end = self.compact()
        done = self.consume_to_end()
        self.assertRegex(done.stderr, "the topic is compacted")
        self.assertIn(f'"records":{left},', done.stderr.splitlines()[-1])
        self.consume_to_end()
        self.assertEqual(self.checkpointed(), end)
        self.assertEqual(sum(json.loads(line)["count"] for line in self.query().splitlines()), left)
        figures = self.figures(expect=0)
        self.assertEqual((figures["equal"], figures["records"]), (figures["windows"], left))
        self.assertEqual(figures["not_fully_verifiable"], [])
        # Folded, half of it, by a consumer that goes on while the broker compacts.
        consumer = self.start_consumer("consumer", "--flush-interval", "50ms")
        self.produce("--devices", 20, count=RECORDS)
        left, end = self.compact()
        self.wait_checkpointed(end, 60, "all is dealt with", consumer)
        self.assertEqual(consumer.stop(), 0, consumer.tail())
        self.assertGreater(self.figures(expect=0)["unverifiable"], 0)
        shown = self.culvert("tail", *self.kafka, "-o", 0, "-e", "--format", "json", timeout=60).stdout.splitlines()
        self.assertEqual(len(shown), left)


if __name__ == "__main__":
    main()
