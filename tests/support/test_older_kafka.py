# SPDX-License-Identifier: Apache-2.0
"""The support with Kafka 3.9, the last before 4.0."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from culvert_test.kafka import KafkaCluster  # noqa: E402
from culvert_test.runner import CulvertTest, main  # noqa: E402
from culvert_test.workspace import SupportError  # noqa: E402


class OlderKafka(CulvertTest):
    def test_users_topics_and_rules(self):
        kafka = self.own(KafkaCluster(version="3.9.1"))
        kafka.create_topic("older", partitions=2)
        as_app = kafka.client_properties("app")
        with self.assertRaisesRegex(SupportError, "authorization failed"):
            kafka.admin("describe-topic", "older", properties=as_app)
        kafka.acl("app", ["DESCRIBE"], topic="older")
        self.assertEqual(len(kafka.admin("describe-topic", "older", properties=as_app)["partitions"]), 2)
        with self.assertRaisesRegex(SupportError, "invalid credentials"):
            kafka.admin("end-offsets", "older", properties=kafka.client_properties("app", password="not-it"))


if __name__ == "__main__":
    main()
