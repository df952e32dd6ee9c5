# SPDX-License-Identifier: Apache-2.0
"""doctor on paths that break before Kafka: options, names, TCP, TLS, tables."""
import os
import shutil
import sqlite3
import subprocess
import unittest

from culvert_test import ports
from culvert_test.certificates import Authority
from culvert_test.fake_servers import (DnsServer, TcpServer, answer_http, close_at_once, reset_at_once,
                                       say_nothing, tls_with)
from culvert_test.runner import main
from culvert_test.workspace import workspace
from doctor_case import PATIENCE, DoctorCase

BROKER = "b-1.cluster.kafka.test"


class Options(DoctorCase):
    def test_nothing_to_look_at(self):
        done = self.culvert("doctor", expect=64)
        self.assertIn("--bootstrap-server", done.stderr)

    def test_unknown_property(self):
        self.broken("options", "-b", "localhost:9092", "-X", "sasl.mechanizm=PLAIN", expect=78,
                    found="sasl.mechanizm", remedy="sasl.mechanism")

    def test_secret_file_is_missing(self):
        self.broken("options", "-b", "localhost:9092", "--password-file", "nowhere", expect=78,
                    found="nowhere", remedy="path and permission")

    def test_authority_file_is_missing(self):
        self.broken("options", "-b", "localhost:9092", "-X", "security.protocol=SSL",
                    "-X", "ssl.ca.location=nowhere.pem", expect=78, found=r"ssl\.ca\.location.*nowhere\.pem",
                    remedy="path")

    def test_bad_line_in_the_options_file(self):
        (self.directory / "culvert.toml").write_text('[common]\ntopik = "readings"\n', encoding="ascii")
        done = self.culvert("doctor", "--config", "culvert.toml", "-b", "localhost:9092", expect=78)
        self.assertRegex(done.stdout, r"✗ options +culvert\.toml: line 2: .*'topik'.*\n +→ did you mean 'topic'\?")

    def test_no_port(self):
        (self.directory / "culvert.toml").write_text(
            '[common]\nbootstrap-server = "localhost:9092x"\n', encoding="ascii")
        done = self.culvert("doctor", "--config", "culvert.toml", expect=78)
        self.assertRegex(done.stdout, r"(?s)✗ options .*line 2: .*'localhost:9092x' has the port '9092x'.*HOST:PORT")


class Names(DoctorCase):
    def ask(self, server):
        return ["--name-server", self.own(server).address]

    def test_missing_name(self):
        self.broken("names", "-b", f"{BROKER}:9096", *self.ask(DnsServer()), expect=69,
                    found=rf"{BROKER} does not exist, says name server 127\.0\.0\.1", remedy="private hosted zone")

    def test_zone_that_hides_the_name(self):
        self.broken("names", "-b", f"{BROKER}:9096", *self.ask(DnsServer(denying_zone="kafka.test")), expect=69,
                    found=r"for zone kafka\.test", remedy=r"zone of its own .* take kafka\.test away")

    def test_silent_name_server(self):
        port = ports.free_port()
        self.broken("names", "-b", f"{BROKER}:9096", "--name-server", f"127.0.0.1:{port}", patience="500ms", expect=69,
                    found="no name server gives a usable answer", remedy="port 53")

    def test_wildcard_gives_two_brokers_one_address(self):
        server = DnsServer(wildcards={".kafka.test": ["127.0.0.1"]})
        self.broken("names", "-b", "b-1.kafka.test:9096,b-2.kafka.test:9096", *self.ask(server), expect=69,
                    found=r"a wildcard\), which is also b-1", remedy="one record for each broker")

    def test_public_address_where_a_private_one_is_needed(self):
        server = DnsServer({BROKER: ["203.0.113.7"]})
        self.broken("names", "-b", f"{BROKER}:9096", "--from-analytics", *self.ask(server), expect=69,
                    found=r"203\.0\.113\.7 \(public", remedy="private zone named")

    def test_closing_dot_with_tls(self):
        self.broken("names", "-b", "localhost.:9094", "-X", "security.protocol=SSL", expect=78, found=r"localhost\.",
                    remedy="without the closing dot")


class Tcp(DoctorCase):
    def test_refused(self):
        self.broken("tcp", "-b", f"localhost:{ports.free_port()}", expect=69, found="refuses", remedy="9094 is TLS")

    def test_accepts_and_closes(self):
        for serve in (close_at_once, reset_at_once):
            for protocol in ("plaintext", "ssl"):
                with self.subTest(serve=serve.__name__, protocol=protocol):
                    server = self.own(TcpServer(serve))
                    self.broken("tcp", "-b", f"localhost:{server.port}", "-X", f"security.protocol={protocol}",
                                expect=69, found="accepts and closes at once", remedy="target group")

    def test_one_of_two_brokers(self):
        server = self.own(TcpServer(say_nothing))
        hops = self.walk("-b", f"localhost:{ports.free_port()},localhost:{server.port}", expect=69,
                         patience="3s")
        self.assertEqual(hops["tcp"]["state"], "failed")
        self.assertIn("1 of 2 brokers", hops["tcp"]["found"])
        self.assertEqual([line[0] for line in hops["tcp"]["details"]], ["✗", "✓"])

    def test_dropped(self):
        namespace = Dropping(self)
        self.broken_inside(namespace, "drop", "does not answer: packets are dropped", "security group|admit TCP")

    def test_rejected_by_a_router(self):
        namespace = Dropping(self)
        self.broken_inside(namespace, "reject with icmp type admin-prohibited", "No route|unreachable|prohibited",
                           "route table")

    def broken_inside(self, namespace, verdict, found, remedy):
        namespace.rule(verdict)
        done = namespace.culvert("doctor", "--timeout", "2s", "-b", "10.203.0.1:9096")
        self.assertEqual(done.returncode, 69, done.stdout)
        self.assertRegex(done.stdout, f"✗ tcp .*({found})")
        self.assertRegex(done.stdout, remedy)
        self.assertIn("1 hop is broken: tcp;", done.stdout)


class Dropping:
    """A network namespace whose only way out treats one port as told: needs root."""

    def __init__(self, test):
        if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
            raise unittest.SkipTest("needs root and network namespaces (CAP_SYS_ADMIN)")
        self._name = f"culvert-{os.getpid()}-{test.id().rsplit('.', 1)[-1]}"[:60]
        self._run("ip", "netns", "add", self._name)
        test.addCleanup(self._run, "ip", "netns", "del", self._name)
        self._inside("ip", "link", "set", "lo", "up")
        # A neighbour that is never asked: the rule comes first, and without one the packet would go nowhere as well.
        self._inside("ip", "link", "add", "way", "type", "veth", "peer", "name", "beyond")
        self._inside("ip", "addr", "add", "10.203.0.2/24", "dev", "way")
        for end in ("way", "beyond"):
            self._inside("ip", "link", "set", end, "up")

    @staticmethod
    def _run(*command):
        subprocess.run(command, check=True, capture_output=True, timeout=20)

    def _inside(self, *command):
        self._run("ip", "netns", "exec", self._name, *command)

    def rule(self, verdict):
        self._inside("nft", "add", "table", "inet", "path")
        self._inside("nft", "add", "chain", "inet", "path", "out", "{ type filter hook output priority 0; }")
        self._inside("nft", "add", "rule", "inet", "path", "out", "tcp", "dport", "9096", *verdict.split())

    def culvert(self, *options):
        program = os.environ["CULVERT_BIN"]
        return subprocess.run(["ip", "netns", "exec", self._name, program, *options], capture_output=True, text=True,
                              timeout=60, check=False)


class Tls(DoctorCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = workspace().directory("doctor-tls")
        cls.authority = Authority(cls.folder, "trusted")
        cls.stranger = Authority(cls.folder, "stranger")

    def serve(self, authority, name, names=("DNS:localhost",), **how):
        certificate, key, _ = authority.issue(name, "serverAuth", names, **how)
        return self.own(TcpServer(tls_with(certificate, key)))

    def refused(self, server, found, remedy, expect=69, patience=PATIENCE):
        self.broken("tls", "-b", f"localhost:{server.port}", "-X", "security.protocol=SSL", "-X",
                    f"ssl.ca.location={self.authority.certificate}", expect=expect, found=found, remedy=remedy,
                    patience=patience)

    def test_wrong_name(self):
        self.refused(self.serve(self.authority, "elsewhere", ("DNS:b-2.kafka.test", "DNS:b-2.other.test")),
                     "is for other names.*b-2.kafka.test, b-2.other.test", "localhost with the names of the cert")

    def test_expired(self):
        self.refused(self.serve(self.authority, "old", expired=True), "has expired: .* expired on 20", "renew")

    def test_unknown_authority(self):
        self.refused(self.serve(self.stranger, "foreign"), "not trusted here.*issued by CN=stranger",
                     r"ssl\.ca\.location.*CN=stranger")

    def test_not_tls(self):
        self.refused(self.own(TcpServer(answer_http)), "answers, but not in TLS", "TLS listener",
                     expect=78)

    def test_silent(self):
        self.refused(self.own(TcpServer(say_nothing)), "does not answer the TLS handshake", "log", patience="500ms")

    def test_name_is_not_checked_where_that_is_switched_off(self):
        server = self.serve(self.authority, "unchecked", ("DNS:b-2.kafka.test",))
        hops = self.walk("-b", f"localhost:{server.port}", "-X", "security.protocol=SSL", "-X",
                         f"ssl.ca.location={self.authority.certificate}", "--insecure-skip-tls-verification",
                         patience="500ms", expect=69)
        self.assertEqual(hops["tls"]["state"], "skipped")


class Protocol(DoctorCase):
    def test_another_service(self):
        server = self.own(TcpServer(answer_http))
        self.broken("protocol", "-b", f"localhost:{server.port}", expect=78, found="not as Kafka", remedy="port")

    def test_silent(self):
        server = self.own(TcpServer(say_nothing))
        self.broken("protocol", "-b", f"localhost:{server.port}", patience="500ms", expect=69,
                    found="answers no request", remedy="log")


class SqliteTable(DoctorCase):
    made = None

    def table(self):
        """A copy of the one that the demo made."""
        if SqliteTable.made is None:
            path = workspace().directory("doctor-table") / "windows.db"
            self.culvert("demo", "--duration", "1s", "--table", f"sqlite:{path}", timeout=60)
            SqliteTable.made = path
        return shutil.copy(SqliteTable.made, self.directory / "windows.db")

    def test_in_order(self):
        hops = self.healthy("--table", f"sqlite:{self.table()}")
        self.assertEqual(hops["write"]["state"], "passed")
        self.assertEqual(hops["tcp"]["state"], "skipped")

    def test_not_there_yet(self):
        hops = self.healthy("--table", "sqlite:new.db")
        self.assertIn("not there yet", hops["table"]["found"])
        self.assertFalse((self.directory / "new.db").exists())

    def test_no_folder(self):
        self.broken("table", "--table", "sqlite:nowhere/new.db", expect=74, found="no folder nowhere",
                    remedy="make the folder")

    def test_not_a_table(self):
        (self.directory / "notes.db").write_text("no database\n" * 100, encoding="ascii")
        self.broken("table", "--table", "sqlite:notes.db", expect=65, found="notes.db", remedy=".")

    def test_another_definition(self):
        self.broken("table", "--table", f"sqlite:{self.table()}", "--window", "7m", expect=65,
                    found="made with another definition.*7m", remedy="the table's own options")

    def test_read_only(self):
        path = self.table()
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        # A file format that says "may be read, not written": unlike a permission it also binds root.
        with open(path, "r+b") as file:
            file.seek(18)
            file.write(b"\x03")
        self.broken("write", "--table", f"sqlite:{path}", expect=74, found="read.?only", remedy=".")

    def test_held_by_another_program(self):
        path = self.table()
        holder = sqlite3.connect(path, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN IMMEDIATE")
        self.broken("write", "--table", f"sqlite:{path}", patience="500ms", expect=75, found="locked", remedy=".")


class Text(DoctorCase):
    def test_a_line_a_hop(self):
        done = self.culvert("doctor", "-b", f"localhost:{ports.free_port()}", "-t", "readings", expect=69)
        self.assertRegex(done.stdout, r"(?m)^✓ names        localhost → 127\.0\.0\.1")
        self.assertRegex(done.stdout, r"(?m)^✗ tcp          localhost:\d+ .*refuses")
        self.assertRegex(done.stdout, r"(?m)^ +1\. \S.*\n +→ \S")
        self.assertRegex(done.stdout, r"(?m)^– tls          skipped: needs tcp$")
        self.assertRegex(done.stdout, r"(?m)^1 hop is broken: tcp; \d+ in order, \d+ skipped\.$")
        self.assertNotIn("\x1b", done.stdout)
        coloured = self.culvert("doctor", "--table", "sqlite:new.db", "--color", "always")
        self.assertIn("\x1b[32m✓\x1b[0m table", coloured.stdout)


if __name__ == "__main__":
    main()
