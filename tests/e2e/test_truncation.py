# SPDX-License-Identifier: Apache-2.0
"""Three nodes, and a leader that is elected although it lacks acknowledged records: the log is shorter than what was
folded, and its offsets are used again.  The program says so and stops; it never goes on as if nothing had happened."""
import sqlite3

from culvert_test.kafka import KafkaCluster
from culvert_test.process import wait_until
from culvert_test.runner import CulvertTest, main

TOPIC = "cut"
KEPT, LOST = 2_000, 1_000


class Truncation(CulvertTest):
    def setUp(self):
        super().setUp()
        self.cluster = self.own(KafkaCluster(nodes=3, secure=False))
        self.table = f"sqlite:{self.directory / 'windows.db'}"

    def produce(self, count):
        done = self.culvert("produce", "-b", self.cluster.bootstrap, "-t", TOPIC, "--rate", "max", "--count", count,
                            timeout=120)
        self.assertIn(f"acknowledged={count} failed=0", done.stdout)

    def options(self, *more):
        return ["consume", "-b", self.cluster.bootstrap, "-t", TOPIC, "-G", "windows", "--table", self.table, *more]

    def wait_checkpointed(self, wanted, consumer):
        def reached():
            path = self.table.removeprefix("sqlite:")
            try:
                with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
                    return connection.execute("SELECT sum(next) FROM checkpoints").fetchone()[0] == wanted
            except sqlite3.OperationalError:  # the consumer has not made the file yet
                return False

        wait_until(reached, 60, f"{wanted} records are checkpointed", process=consumer)

    def stored(self):
        done = self.culvert("query", "--table", self.table, "--format", "csv", timeout=60)
        return done.stdout

    def test_a_log_that_lost_records_stops_the_consumer(self):
        self.cluster.create_topic(TOPIC, 1, {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"},
                                  replication=2)
        partition = self.cluster.describe_topic(TOPIC)["partitions"][0]
        leader = partition["leader"]
        follower = next(node for node in partition["replicas"] if node != leader)
        consumer = self.start_culvert(*self.options("--flush-interval", "100ms"), name="consumer")
        self.produce(KEPT)
        self.wait_checkpointed(KEPT, consumer)
        self.cluster.stop_node(follower)
        self.produce(LOST)
        self.wait_checkpointed(KEPT + LOST, consumer)

        self.cluster.kill(leader)
        self.cluster.restart(follower, wait=False)
        wait_until(lambda: self.cluster.leader(TOPIC) == follower, 90, "the stale replica leads",
                   process=self.cluster.node(follower).process)
        self.assertEqual(consumer.wait(90), 65, consumer.tail())
        self.assertRegex(consumer.stderr(), r"topic 'cut' partition 0 .*unclean leader election.*--generation")

        before = self.stored()
        again = self.culvert(*self.options("--exit-at-end"), timeout=90, expect=65)
        self.assertRegex(again.stderr, rf"lost records that were folded.*ends at offset {KEPT}, below the checkpoint's "
                                       rf"next offset {KEPT + LOST}")
        self.assertEqual(self.stored(), before, "what is refused writes nothing")


if __name__ == "__main__":
    main()
