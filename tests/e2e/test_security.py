# SPDX-License-Identifier: Apache-2.0
"""Wrong authority, wrong password, forbidden topic: a clear message, the right exit code, and soon."""
from culvert_test.kafka import KafkaCluster
from culvert_test.runner import main
from kafka_case import USER, KafkaCase


class Security(KafkaCase):
    def replaced(self, name, value):
        at = next(i for i, word in enumerate(self.kafka) if word.startswith(f"{name}="))
        return [*self.kafka[:at], f"{name}={value}", *self.kafka[at + 1:]]

    def refused(self, kafka, code, pattern):
        for command in (["produce", *kafka, "--count", 10, "--rate", "max"],
                        ["consume", *kafka, "-G", self.topic, "--table", self.table, "--exit-at-end"]):
            with self.subTest(command[0]):
                done = self.culvert(*command, timeout=60, expect=code)
                self.assertRegex(done.stderr, pattern)

    def test_unknown_authority(self):
        self.make_topic(1)
        self.refused(self.replaced("ssl.ca.location", self.cluster.wrong_ca), 69, r"certificate.*ssl\.ca\.location")

    def test_wrong_password(self):
        self.make_topic(1)
        wrong = self.directory / "wrong"
        wrong.write_text("guess", encoding="ascii")
        self.refused(self.replaced("sasl.password", f"@file:{wrong}"), 77, r"[Aa]uthentication|credentials|password")

    def test_forbidden_topic(self):
        self.cluster.create_topic(self.topic, 1)
        self.refused(self.kafka, 77, rf"topic '{self.topic}'")

    def test_forbidden_group(self):
        self.cluster.create_topic(self.topic, 1)
        self.cluster.acl(USER, ["READ", "WRITE", "DESCRIBE"], topic=self.topic)
        done = self.culvert("consume", *self.kafka, "-G", "somebody-else", "--table", self.table, timeout=60, expect=77)
        self.assertRegex(done.stderr, r"somebody-else")

    def test_password_never_on_the_command_line_nor_in_the_log(self):
        self.make_topic(1)
        secret = self.cluster.users[USER]
        literal = self.culvert("produce", *self.replaced("sasl.password", secret), "--count", 1, timeout=30, expect=64)
        self.assertIn("@file:", literal.stderr)
        loud = self.culvert("produce", *self.kafka, "--count", 1, "--log-level", "debug", "-X", "debug=security,broker",
                            timeout=60)
        self.assertNotIn(secret, loud.stderr + loud.stdout + literal.stderr)

    def test_client_certificate(self):
        self.cluster.create_topic(self.topic, 1)
        self.cluster.acl(self.cluster.mtls_principal, ["READ", "WRITE", "DESCRIBE"], topic=self.topic)
        self.cluster.acl(self.cluster.mtls_principal, ["READ"], group=self.topic)
        properties = dict(self.cluster.mtls_properties())
        bootstrap = properties.pop("bootstrap.servers")
        self.kafka = ["-b", bootstrap, "-t", self.topic, *KafkaCluster.options(properties)]
        self.produce(count=1000)
        self.consume_to_end()
        self.verify()


if __name__ == "__main__":
    main()
