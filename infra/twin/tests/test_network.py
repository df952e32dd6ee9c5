#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The networks of a twin, without Kafka: what the applied state lets through, by name and by address, and what not.

In the brokers' place something answers each connection with the address that it came from.  Needs root; 77 without.
"""

import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import unittest.mock

import twin_case   # puts the twin's folders on the path
import applied
import balancers
import deployment
import names
import namespaces
import network
import topology as topologies
from culvert_test.process import Process, wait_until

NAME = f"n{pathlib.Path('/proc/self').resolve().name}"
# Runs inside: connects, and says what it was told, or why not.
PROBE = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])) as s:
        s.settimeout(float(sys.argv[3]))
        print("answered", s.recv(100).decode())
except socket.gaierror as error:
    print("no such name")
except TimeoutError:
    print("silence")
except OSError as error:
    print(error.strerror)
"""


def echo(listening):
    """Tells each client the address that it came from."""
    while True:
        try:
            connection, peer = listening.accept()
        except OSError:
            return
        with connection:
            connection.sendall(peer[0].encode())


class Networks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="culvert-twin-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.deployed = deployment.Deployed(cls.folder)
        cls.deployed.apply()
        cls.addClassCleanup(network.sweep, NAME)
        cls.state = applied.read(cls.folder)
        cls.topology = topologies.topology_of(cls.state)
        cls.fabric = network.Fabric(NAME, pathlib.Path("/etc/ssl/certs/ca-certificates.crt"))
        cls.fabric.build_services()
        for number, part in enumerate(cls.topology.networks.values()):
            cls.fabric.build_network(part, number)
            for host in part.hosts:
                cls.fabric.build_host(part, host)
        cls._serve()
        cls.scram = next(link.port for link in cls.topology.links)
        cls.broker = cls.topology.brokers["1"]
        wait_until(lambda: cls.probe("consumer", cls.broker.host, cls.scram).startswith("answered"), 20, "it answers")

    @classmethod
    def _serve(cls):
        programs = [("public", ("services",), names.public(cls.topology.public_names))]
        programs += [(n.name, (n.name,), names.private(n)) for n in cls.topology.networks.values()]
        for name, inside, text in programs:
            file = cls.folder / f"{name}.conf"
            file.write_text(text)
            cls._process([*cls.fabric.inside(*inside), "dnsmasq", "--keep-in-foreground", f"--conf-file={file}"], name)
        for link in cls.topology.links:
            cls._start_link(link)
        for broker in cls.topology.brokers.values():
            for port in {link.port for link in cls.topology.links} | {9098}:
                listening = namespaces.listener(cls.fabric.namespace("stream", f"broker-{broker.id}"), "0.0.0.0", port)
                threading.Thread(target=echo, args=(listening,), daemon=True).start()

    @classmethod
    def _start_link(cls, link):
        file = cls.folder / f"{link.endpoint}.cfg"
        file.write_text(balancers.configuration_of(link, cls.fabric.namespace(link.entry_network, "endpoints"),
                                                   cls.fabric.namespace(link.exit_network, "balancers")))
        return cls._process(["haproxy", "-db", "-f", str(file)], link.endpoint)

    @classmethod
    def _process(cls, command, name):
        process = Process(command, name=name, directory=cls.folder)
        cls.addClassCleanup(process.kill)
        return process

    @classmethod
    def probe(cls, host, address, port, seconds=1.5):
        where = next(n.name for n in cls.topology.networks.values() if any(h.name == host for h in n.hosts))
        command = [*cls.fabric.inside(where, host), "python3", "-c", PROBE, address, str(port), str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def test_each_broker_answers_by_its_name_and_sees_its_balancer(self):
        for broker in self.topology.brokers.values():
            link = next(li for li in self.topology.links if li.targets == ((broker.address, self.scram),))
            self.assertEqual(self.probe("consumer", broker.host, self.scram, 5), f"answered {link.source}")

    def test_no_address_of_the_brokers_can_be_reached_from_the_consumers_network(self):
        for host in ("consumer", "endpoints", "stranger"):
            self.assertIn(self.probe(host, self.broker.address, self.scram), ("Network is unreachable", "silence"))

    def test_a_forced_route_leads_nowhere(self):
        """Whoever is root on the function's side still cannot get through router or endpoints."""
        inside = self.fabric.inside("analytics", "consumer")
        block = self.topology.networks["stream"].block
        subprocess.run([*inside, "ip", "route", "add", block, "via", network.ROUTER, "dev", "eth0"], check=True)
        self.addCleanup(subprocess.run, [*inside, "ip", "route", "del", block], check=True)
        balancer = self.topology.links[0].source
        for address in (self.broker.address, balancer):
            self.assertIn(self.probe("consumer", address, self.scram),
                          ("Network is unreachable", "No route to host", "silence"))

    def test_a_stranger_in_the_consumers_network_is_refused(self):
        self.assertEqual(self.probe("stranger", self.broker.host, self.scram), "silence")
        counters = subprocess.run([*self.fabric.inside("analytics"), "nft", "list", "counters"], capture_output=True,
                                  text=True, check=True).stdout
        self.assertRegex(counters, r"refused_outbound \{\s+packets [1-9]")

    def test_a_stranger_whose_own_group_lets_it_out_is_refused_by_the_endpoints_group(self):
        consumer, stranger = (self.topology.host("analytics", h).addresses[0] for h in ("consumer", "stranger"))
        part = self.topology.networks["analytics"]
        open_rule = topologies.Rule(stranger.groups[0], (part.block,), 0, 65535, "-1")
        self.fabric.filter(topologies.dataclasses.replace(part, egress=(*part.egress, open_rule)))
        self.addCleanup(self.fabric.filter, part)
        self.assertEqual(self.probe("stranger", self.broker.host, self.scram), "silence")
        self.assertNotEqual(consumer.groups, stranger.groups)
        counters = subprocess.run([*self.fabric.inside("analytics"), "nft", "list", "counters"], capture_output=True,
                                  text=True, check=True).stdout
        self.assertRegex(counters, r"refused_inbound \{\s+packets [1-9]")

    def test_ports_that_no_rule_names_are_closed(self):
        self.assertEqual(self.probe("consumer", self.broker.host, self.scram + 1), "silence")
        self.assertEqual(self.probe("sensor-1", self.broker.host, self.scram), "silence")
        sensor = self.topology.host("stream", "sensor-1").addresses[0].ip
        self.assertEqual(self.probe("sensor-1", self.broker.host, 9098, 5), f"answered {sensor}")

    def test_private_zones_hide_nothing_but_the_brokers(self):
        service = f"kafka.{self.topology.region}.amazonaws.com"
        resolved = subprocess.run([*self.fabric.inside("analytics", "consumer"), "getent", "ahostsv4", service],
                                  capture_output=True, text=True, timeout=30)
        self.assertIn(topologies.SERVICES_ADDRESS, resolved.stdout)
        self.assertEqual(self.probe("consumer", f"b-9.{self.broker.host.split('.', 1)[1]}", self.scram), "no such name")

    def test_an_endpoint_that_is_not_accepted_is_closed(self):
        states = {r: self.deployed.workspace.folder / "states" / f"{r}.json" for r in deployment.ROOTS}
        shown = {name: applied.json.loads(path.read_text()) for name, path in states.items()}
        modules = [shown["stream"]["values"]["root_module"]]
        while modules:
            module = modules.pop()
            modules += module.get("child_modules", [])
            module["resources"] = [r for r in module.get("resources", [])
                                   if r["type"] != "aws_vpc_endpoint_connection_accepter"]
        links = topologies.topology_of(applied.Applied(shown, self.folder / "cloud")).links
        self.assertEqual({li.closed_because.split(" by ")[0] for li in links},
                         {f"{li.endpoint} waits for acceptance" for li in self.topology.links})
        self.assertEqual([balancers.configuration_of(li, "a", "b") for li in links], [None] * len(links))

    def test_without_the_rights_it_says_which_and_skips(self):
        command = ["setpriv", "--bounding-set=-net_admin,-sys_admin", sys.executable, "-B",
                   str(twin_case.TWIN / "twin.py")]
        for what in ("rights", "up", "down"):
            done = subprocess.run([*command, what], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 77, done.stderr)
            self.assertIn("needs root with CAP_NET_ADMIN and CAP_SYS_ADMIN to make network namespaces", done.stderr)

    def sleeper_in(self, namespace, name):
        """A program that has arrived: `ip` opens the namespace some time after it was started."""
        sleeper = Process(["ip", "netns", "exec", namespace, "sleep", "1000"], name, self.folder)
        wait_until(lambda: str(sleeper.pid) in network.run(["ip", "netns", "pids", namespace]).split()
                   and pathlib.Path(f"/proc/{sleeper.pid}/comm").read_text() == "sleep\n", 30, f"{name} sleeps",
                   process=sleeper)
        return sleeper

    def test_sweeping_leaves_nothing(self):
        other = f"{NAME}x"
        fabric = network.Fabric(other, pathlib.Path("/etc/ssl/certs/ca-certificates.crt"))
        fabric.build_services()
        part = self.topology.networks["analytics"]
        fabric.build_network(part, 0)
        fabric.build_host(part, part.hosts[0])
        inside = fabric.namespace(part.name, part.hosts[0].name)
        sleepers = [self.sleeper_in(inside, "sleeper")]

        def run_with_a_latecomer(command, *rest, **options):
            if command == ["ip", "netns", "delete", inside]:
                sleepers.append(self.sleeper_in(inside, "latecomer"))
            return run(command, *rest, **options)

        run = network.run
        with unittest.mock.patch.object(network, "run", run_with_a_latecomer):
            network.sweep(other)
        self.assertEqual(network.namespaces_of(other), [])
        self.assertEqual(list(network.NETNS_ETC.glob(f"culvert-{other}-*")), [])
        self.assertEqual([sleeper.wait(5) for sleeper in sleepers], [-signal.SIGTERM] * 2)
        self.assertGreater(len(network.namespaces_of(NAME)), 0)


if __name__ == "__main__":
    twin_case.main()
