# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests on DynamoDB share: Kafka and DynamoDB Local for the class, tables for each test."""
import re
import subprocess

from culvert_test.dynamodb import DynamoDbLocal
from kafka_case import KafkaCase


class DynamoDbCase(KafkaCase):
    """Every program of a test talks to the class's DynamoDB; `self.table` is the test's table there."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dynamodb = DynamoDbLocal()
        cls.shared(cls.dynamodb)

    def setUp(self):
        super().setUp()
        self.sqlite = self.table
        self.table_name = re.sub(r"[^a-zA-Z0-9]", "-", self.id().rsplit(".", 1)[-1])[:80]
        self.table = f"dynamodb:{self.table_name}"
        self.environment = {**self.dynamodb.environment, "AWS_EC2_METADATA_DISABLED": "true",
                            "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}

    def culvert(self, *args, env=None, **options):
        return super().culvert(*args, env={**self.environment, **(env or {})}, **options)

    def start_culvert(self, *args, env=None, **options):
        return super().start_culvert(*args, env={**self.environment, **(env or {})}, **options)

    def consumer_options(self, *options):
        if self.table.startswith("dynamodb:"):
            options = ("--create-table", *options)
        return super().consumer_options(*options)

    def checkpointed(self):
        """Records below the checkpoints' next, over all partitions, as anybody could read them."""
        tables = self.dynamodb.call("ListTables", {})["TableNames"]
        if f"{self.table_name}-checkpoints" not in tables:
            return 0
        return sum(int(item["next"]["N"]) for item in self.dynamodb.scan(f"{self.table_name}-checkpoints")
                   if "next" in item)

    def produce_lines(self, path):
        """Each line of a file as a record, by another client."""
        done = subprocess.run(["kcat", "-b", self.cluster.admin_bootstrap, "-P", "-t", self.topic, "-l", str(path)],
                              capture_output=True, timeout=60, check=False, cwd=self.directory)
        self.assertEqual(done.returncode, 0, done.stderr)

    def in_sqlite(self, *options):
        """The same log in a SQLite table, for comparison: what query and dead-letters print."""
        table, self.table = self.table, self.sqlite
        try:
            self.consume_to_end(*options)
            return self.query(), self.dead_letters()
        finally:
            self.table = table
