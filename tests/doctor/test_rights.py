# SPDX-License-Identifier: Apache-2.0
"""Rights on a real Kafka whose authorizer knows no more than it was told: each that is missing is named with the line
that grants it, the line is run by Kafka's own kafka-acls.sh, and with the last one everything works."""
import re
import shlex
import subprocess

from culvert_test.kafka import KafkaCluster
from culvert_test.parts import JarPart
from culvert_test.runner import main
from doctor_case import DoctorCase

TOPIC = "readings"
GROUP = "culvert-telemetry"
CONSUMER, PRODUCER = "culvert", "gateway"


class Rights(DoctorCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = KafkaCluster(users={CONSUMER: "culvert-secret", PRODUCER: "gateway-secret"})
        cls.shared(cls.cluster)
        cls.cluster.create_topic(TOPIC, 2)

    def setUp(self):
        super().setUp()
        self.table = f"sqlite:{self.directory / 'windows.db'}"

    def by_scram(self, user):
        password = self.directory / f"{user}.password"
        password.write_text(self.cluster.users[user], encoding="ascii")
        properties = dict(self.cluster.client_properties(user))
        where = properties.pop("bootstrap.servers")
        return ["-b", where, *KafkaCluster.options({**properties, "sasl.password": f"@file:{password}"})]

    def by_certificate(self):
        properties = dict(self.cluster.mtls_properties())
        return ["-b", properties.pop("bootstrap.servers"), *KafkaCluster.options(properties)]

    def acls(self, *options):
        """Kafka's own tool, as the administrator."""
        config = self.directory / "ADMIN.properties"
        config.write_text("security.protocol=PLAINTEXT\n", encoding="ascii")
        words = ["--bootstrap-server", self.cluster.admin_bootstrap, "--command-config", str(config), *options]
        command = JarPart("kafka39").command("kafka.admin.AclCommand", words, 128)
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def grant(self, hop):
        """Runs the line that doctor has printed, with the administrator's own way in; returns its options."""
        line = next(m[1] for cause in hop["causes"] if (m := re.search(r"kafka-acls\.sh (.+)$", cause["remedy"])))
        words = shlex.split(line)
        self.assertEqual([words[0], words[2], words[3]], ["--bootstrap-server", "--command-config", "ADMIN.properties"])
        self.acls(*words[4:])
        self.cluster.rules_changed(1)
        return words[6:]

    def granted_one_by_one(self, missing, options):
        """missing: hop and rights, in the order in which they are found; returns what was granted."""
        given = []
        for name, found in missing:
            hops = self.broken(name, *options, expect=77, found=found, remedy="^let an administrator grant ")
            given.append(" ".join(self.grant(hops[name])))
        self.healthy(*options)
        return given

    def test_a_consumer_behind_a_mapping_and_a_producer(self):
        consumer, producer = self.by_scram(CONSUMER), self.by_scram(PRODUCER)
        walk = [*consumer, "-t", TOPIC, "-G", GROUP, "--from-analytics"]
        send = ["--for", "produce", *producer, "-t", TOPIC]

        # Both fault by fault: no topic, then no group, and what only Lambda asks for.
        hops = self.walk(*walk, expect=77)
        self.assertEqual([n for n, hop in hops.items() if hop["state"] == "failed"], ["topic", "group", "poller"])
        given = [self.grant(hops[name]) for name in ("topic", "group", "poller")]
        self.assertEqual([" ".join(words) for words in given], [
            f"User:{CONSUMER} --operation Read --topic {TOPIC}",
            f"User:{CONSUMER} --operation Read --group {GROUP}",
            f"User:{CONSUMER} --operation DescribeConfigs --cluster"])
        self.healthy(*walk)

        self.assertEqual(self.granted_one_by_one([("topic", "access is refused")], send),
                         [f"User:{PRODUCER} --operation Write --topic {TOPIC}"])

        # With exactly these, data flows from end to end.
        done = self.culvert("produce", *producer, "-t", TOPIC, "--rate", "max", "--count", 500, timeout=60)
        self.assertIn("acknowledged=500 failed=0", done.stdout)
        self.culvert("consume", *consumer, "-t", TOPIC, "-G", GROUP, "--table", self.table, "--exit-at-end", timeout=60)
        done = self.culvert("verify", *consumer, "-t", TOPIC, "--table", self.table, timeout=60)
        self.assertRegex(done.stdout, "different=0 missing=0 extra=0 .*records=500")

        # Without each of them doctor names it: one hop, and the line that was taken away.
        for options, lines in ((walk, given), (send, [[f"User:{PRODUCER}", "--operation", "Write", "--topic", TOPIC]])):
            for hop, words in zip(("topic", "group", "poller"), lines):
                with self.subTest(hop, user=words[0]):
                    self.acls("--remove", "--force", "--allow-principal", *words)
                    self.cluster.rules_changed(-1)
                    hops = self.broken(hop, *options, expect=77, found="refused|do not tell", remedy="grant")
                    self.assertEqual(self.grant(hops[hop]), words)

        # Neither may do what the other does, nor anything beside its own names.
        self.broken("topic", *consumer, "-t", "other", "-G", GROUP, expect=77, found="access is refused",
                    remedy=r"(?m)--topic other$")
        self.broken("group", *consumer, "-t", TOPIC, "-G", "other", expect=77, found="access is refused",
                    remedy=r"(?m)--group other$")
        self.broken("send", "--for", "produce", *consumer, "-t", TOPIC, expect=77, found="seen but not written to",
                    remedy=f"User:{CONSUMER} --operation Write --topic {TOPIC}$")
        listed = self.acls("--list")
        self.assertNotIn("name=*", listed.replace(" ", ""))
        self.assertNotIn("PREFIXED", listed)

    def test_a_client_certificate_is_named_as_the_brokers_name_it(self):
        options = [*self.by_certificate(), "-t", TOPIC]
        given = self.granted_one_by_one([("topic", "access is refused")], options)
        self.assertEqual(given, [f"User:{self.cluster.mtls_principal} --operation Read --topic {TOPIC}"])


if __name__ == "__main__":
    main()
