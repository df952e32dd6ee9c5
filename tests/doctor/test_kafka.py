# SPDX-License-Identifier: Apache-2.0
"""doctor against a real Kafka with TLS, SCRAM and ACLs, broken behind the listener: logins, rights, logs."""
from culvert_test import ports
from culvert_test.fake_servers import DnsServer, TcpServer, forward_to
from culvert_test.kafka import KafkaCluster
from culvert_test.runner import main
from doctor_case import DoctorCase

TOPIC = "readings"
GROUP = "windows"
USER = "app"


class Kafka(DoctorCase):
    @classmethod
    def setUpClass(cls):
        cls.closed = ports.free_port()
        cls.cluster = KafkaCluster(further={"NAMELESS": ("b-1.elsewhere.test", 9096),
                                            "CLOSED": ("127.0.0.1", cls.closed)})
        cls.shared(cls.cluster)
        cls.cluster.create_topic(TOPIC, 2)
        cls.cluster.acl(USER, ["READ", "WRITE", "DESCRIBE"], topic=TOPIC)
        cls.cluster.acl(USER, ["READ"], group=GROUP)

    def setUp(self):
        super().setUp()
        self.password = self.directory / "password"
        self.password.write_text(self.cluster.users[USER], encoding="ascii")
        self.table = f"sqlite:{self.directory / 'windows.db'}"

    def options(self, bootstrap=None, topic=TOPIC, group=GROUP, **changed):
        """The options of a healthy walk, but for what is changed (`_` for `.` in properties; None: left out)."""
        properties = dict(self.cluster.client_properties(USER))
        where = properties.pop("bootstrap.servers")
        properties["sasl.password"] = f"@file:{self.password}"
        properties.update({name.replace("_", "."): value for name, value in changed.items()})
        words = ["-b", bootstrap or where, "-t", topic]
        if group is not None:
            words += ["-G", group]
        return words + KafkaCluster.options({n: v for n, v in properties.items() if v is not None})

    def produce(self, topic=TOPIC, count=100):
        self.culvert("produce", *self.options(topic=topic, group=None), "--count", count, "--rate", "max", timeout=60)

    def consume(self, topic=TOPIC):
        self.culvert("consume", *self.options(topic=topic), "--table", self.table, "--exit-at-end", timeout=60)

    def own_topic(self, name, partitions=1):
        self.cluster.create_topic(name, partitions)
        self.cluster.acl(USER, ["READ", "WRITE", "DESCRIBE"], topic=name)

    def test_in_order(self):
        self.produce()
        self.consume()
        hops = self.healthy(*self.options(), "--table", self.table)
        self.assertIn("TLSv1.3", hops["tls"]["found"])
        self.assertRegex(hops["protocol"]["found"], r"Kafka 4\.1 or later")
        self.assertIn("'app' logged in by SCRAM-SHA-512", hops["login"]["found"])
        self.assertIn("it may be joined", hops["group"]["found"])
        self.assertRegex(hops["position"]["found"], r"2 checkpoints are inside the log; \d+ records behind")
        skipped = [name for name, hop in hops.items() if hop["state"] == "skipped"]
        self.assertEqual(skipped, ["credentials", "secret", "send", "poller", "mapping"])

    def test_secrets_do_not_appear(self):
        done = self.culvert("doctor", *self.options(), "--log-level", "debug", "-X", "debug=security", timeout=60)
        self.assertNotIn(self.cluster.users[USER], done.stdout + done.stderr)

    def test_plaintext_port_for_tls(self):
        self.broken("tls", *self.options(self.cluster.admin_bootstrap), expect=78, found="speaks Kafka in plaintext",
                    remedy="9096|security.protocol=PLAINTEXT")

    def test_tls_port_for_plaintext(self):
        self.broken("protocol", "-b", self.cluster.bootstrap, "-t", TOPIC, expect=78, found="speaks TLS",
                    remedy=r"security\.protocol=SSL")

    def test_wrong_password(self):
        self.password.write_text("guess", encoding="ascii")
        self.broken("login", *self.options(), expect=77, found="login of 'app' by SCRAM-SHA-512 was refused",
                    remedy="--password-file")

    def test_wrong_mechanism(self):
        self.broken("login", *self.options(sasl_mechanism="PLAIN"), expect=77,
                    found="does not take PLAIN, but SCRAM-SHA-512", remedy=r"sasl\.mechanism=SCRAM-SHA-512")

    def test_no_login_where_one_is_asked_for(self):
        without = {"sasl_mechanism": None, "sasl_username": None, "sasl_password": None}
        self.broken("login", *self.options(security_protocol="SSL", **without), expect=77, found="asks for a login",
                    remedy=r"security\.protocol=SASL_SSL .*SCRAM-SHA-512")

    def test_login_where_none_is_taken(self):
        self.broken("login", *self.options(self.cluster.admin_bootstrap, security_protocol="SASL_PLAINTEXT"), expect=78,
                    found="takes no login", remedy=r"security\.protocol=PLAINTEXT")

    def test_client_certificate_is_missing(self):
        without = {"sasl_mechanism": None, "sasl_username": None, "sasl_password": None}
        hops = self.broken("login", *self.options(self.cluster.mtls_bootstrap, security_protocol="SSL", **without),
                           expect=77, found="asks for a client certificate", remedy=r"ssl\.certificate\.location")
        self.assertEqual(hops["tls"]["state"], "passed")

    def test_missing_topic(self):
        properties = KafkaCluster.options({"security.protocol": "PLAINTEXT"})
        self.broken("topic", "-b", self.cluster.admin_bootstrap, "-t", "readnigs", *properties, expect=78,
                    found="'readnigs' does not exist", remedy="create-topic")

    def test_forbidden_topic(self):
        self.cluster.create_topic("forbidden", 1)
        self.broken("topic", *self.options(topic="forbidden"), expect=77, found="access is refused",
                    remedy="grant Read: ")

    def test_topic_that_may_be_seen_but_not_read(self):
        self.cluster.create_topic("seen", 1)
        self.cluster.acl(USER, ["DESCRIBE"], topic="seen")
        self.broken("read", *self.options(topic="seen"), expect=77, found="seen but not read", remedy="grant Read: ")

    def test_forbidden_group(self):
        self.broken("group", *self.options(group="somebody-else"), expect=77, found="access is refused",
                    remedy=r"(?m)--group somebody-else$")

    def test_group_that_may_be_seen_but_not_joined(self):
        self.cluster.acl(USER, ["DESCRIBE"], group="watched")
        self.broken("group", *self.options(group="watched"), expect=77, found="seen but not joined",
                    remedy="grant Read: ")

    def test_records_removed_before_they_were_read(self):
        self.own_topic("short")
        self.produce("short")
        self.consume("short")
        self.produce("short")
        self.cluster.delete_records("short", 0, 150)
        self.broken("position", *self.options(topic="short"), "--table", self.table, expect=65,
                    found="50 records were removed", remedy="--accept-loss")

    def test_topic_made_anew(self):
        self.own_topic("anew")
        self.produce("anew")
        self.consume("anew")
        self.cluster.delete_topic("anew")
        self.cluster.create_topic("anew", 1)
        self.produce("anew", 200)
        self.broken("position", *self.options(topic="anew"), "--table", self.table, expect=65,
                    found="its id was", remedy="--generation 2")
        self.healthy(*self.options(topic="readings"), "--table", self.table)

    def test_wrong_generation(self):
        self.own_topic("later")
        self.produce("later")
        self.culvert("consume", *self.options(topic="later"), "--table", self.table, "--exit-at-end", "--generation", 3,
                     timeout=60)
        self.broken("position", *self.options(topic="later"), "--table", self.table, expect=65,
                    found="holds generation 3", remedy="--generation 3")

    def advertised(self, listener, *options, **expected):
        self.broken("advertised", "-b", f"127.0.0.1:{self.cluster.further_ports[listener]}", "-t", TOPIC, *options,
                    expect=69, **expected)

    def test_advertised_name_does_not_exist(self):
        server = self.own(DnsServer())
        self.advertised("NAMELESS", "--name-server", server.address, found=r"b-1\.elsewhere\.test does not exist",
                        remedy="advertised.listeners")

    def test_advertised_port_is_closed(self):
        self.advertised("CLOSED", found=rf"127\.0\.0\.1:{self.closed} .*refuses", remedy="advertised.listeners")

    def test_bootstrap_through_a_load_balancer(self):
        node = self.cluster.node(1)
        server = self.own(TcpServer(forward_to(node.client_port)))
        hops = self.healthy(*self.options(f"localhost:{server.port}"))
        self.assertIn(f"localhost:{node.client_port}", "\n".join(hops["advertised"]["details"]))

    def test_idle_connections_are_kept_too_long(self):
        self.broken("idle", *self.options(connections_max_idle_ms="600000"), "--idle-timeout", "350s", expect=78,
                    found="after 10m, but load balancers .* 5m50s", remedy=r"connections\.max\.idle\.ms=")


if __name__ == "__main__":
    main()
