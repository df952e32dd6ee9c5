# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests on a real Kafka share: one secure broker for the class, a topic for each test."""
import json
import random
import re
import sqlite3
import subprocess

from culvert_test.kafka import KafkaCluster
from culvert_test.process import wait_until
from culvert_test.runner import CulvertTest

USER = "app"


class KafkaCase(CulvertTest):
    """TLS, SCRAM-SHA-512 and ACLs: the test's user may use its own topic and group and nothing else."""

    @classmethod
    def make_cluster(cls):
        return KafkaCluster()

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.make_cluster()
        cls.shared(cls.cluster)
        cls.seed = random.SystemRandom().randrange(1 << 31)
        print(f"{cls.__name__}: seed {cls.seed}")
        cls.random = random.Random(cls.seed)

    def setUp(self):
        super().setUp()
        self.topic = re.sub(r"[^a-zA-Z0-9]", "-", self.id().rsplit(".", 1)[-1])[:80]
        self.table = f"sqlite:{self.directory / 'windows.db'}"
        password = self.directory / "password"
        password.write_text(self.cluster.users[USER], encoding="ascii")
        properties = dict(self.cluster.client_properties(USER))
        properties.pop("bootstrap.servers")
        properties["sasl.password"] = f"@file:{password}"
        self.kafka = ["-b", self.cluster.bootstrap, "-t", self.topic, *KafkaCluster.options(properties)]

    def make_topic(self, partitions=4):
        self.cluster.create_topic(self.topic, partitions)
        self.cluster.acl(USER, ["READ", "WRITE", "DESCRIBE"], topic=self.topic)
        self.cluster.acl(USER, ["READ"], group=self.topic)

    def produce(self, *options, count, timeout=120):
        done = self.culvert("produce", *self.kafka, "--rate", "max", "--count", count, *options, timeout=timeout)
        self.assertIn(f"acknowledged={count} failed=0", done.stdout)
        return done

    def consumer_options(self, *options):
        return ["consume", *self.kafka, "-G", self.topic, "--table", self.table, *options]

    def consume_to_end(self, *options, timeout=120, expect=0):
        return self.culvert(*self.consumer_options("--exit-at-end", *options), timeout=timeout, expect=expect)

    def start_consumer(self, name, *options):
        return self.start_culvert(*self.consumer_options(*options), name=name)

    def verify(self, expect=0):
        done = self.culvert("verify", *self.kafka, "--table", self.table, timeout=180, expect=expect)
        if expect == 0:
            self.assertRegex(done.stdout, r"different=0 missing=0 extra=0")
        return done

    def query(self):
        return self.culvert("query", "--table", self.table, "--format", "json", timeout=60).stdout

    def dead_letters(self):
        done = self.culvert("dead-letters", "list", "--table", self.table, "--format", "json", timeout=60)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def checkpointed(self):
        """Records below the checkpoints' next, over all partitions: read from the file, as anybody could."""
        path = self.table.removeprefix("sqlite:")
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT coalesce(sum(next), 0) FROM checkpoints").fetchone()[0]

    def wait_checkpointed(self, at_least, timeout, what, process=None):
        def reached():
            try:
                return self.checkpointed() >= at_least
            except sqlite3.OperationalError:  # the consumer has not made the file yet
                return False

        return wait_until(reached, timeout, what, process=process)

    def records_by_kcat(self):
        """The topic's values as another client reads them."""
        done = subprocess.run(["kcat", "-b", self.cluster.admin_bootstrap, "-C", "-t", self.topic, "-e", "-q",
                               "-f", "%s\n"], capture_output=True, check=True, timeout=120)
        return done.stdout.splitlines()
