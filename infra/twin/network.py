# SPDX-License-Identifier: Apache-2.0
"""Namespaces: one per network, which routes and filters, and one per host; nothing joins two networks.

Flow    Topology -> [Fabric] -> ip, nft.  Names, balancers and programs then run inside.
Owner   the supervisor has one Fabric; sweep() also works for a twin that was killed.
Time    a tenth of a second for a host; changes touch only what changed.
Bounds  namespaces culvert-TWIN-*, their interfaces, /etc/netns/culvert-TWIN-*; nothing in the machine's own network.
See     ip-netns(8): what lies in /etc/netns/NAME is put over /etc for programs that `ip netns exec` starts.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

import firewall
import topology

PREFIX = "culvert-"
# Routers speak from here to their hosts; every host has one, so it must be the same in all (RFC 3927).
ROUTER = "169.254.1.1"
METRIC = 100   # of a cable's route: something may be put in front of it (impairment.py)
SERVICES_NET = topology.SERVICES_BLOCK.rpartition(".")[0]
NETNS = pathlib.Path("/run/netns")
NETNS_ETC = pathlib.Path("/etc/netns")


class CommandFailed(Exception):
    """A command of ip, nft and the like ended with an error; the message has its text."""


def run(command, text=None, timeout=30, check=True):
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}"
                            + (f"\n{text}" if text else ""))
    return done.stdout


def batch(namespace, *lines):
    """Several commands of ip in one namespace (None: the machine's own), all or an error."""
    command = ["ip", *(["-n", namespace] if namespace else []), "-batch", "-"]
    run(command, "\n".join(lines) + "\n")


def namespaces_of(twin):
    listed = run(["ip", "netns", "list"]).splitlines()
    return [line.split()[0] for line in listed if line.startswith(f"{PREFIX}{twin}-")]


class Fabric:
    def __init__(self, twin, trust):
        """trust: a PEM file that programs inside take for the public authorities."""
        self.twin = twin
        self.trust = trust
        self._links = {}   # (network, host) -> what was made for it

    def namespace(self, *parts):
        return "-".join([f"{PREFIX}{self.twin}", *parts])

    def inside(self, *parts):
        """Beginning of a command that runs in a namespace, with its resolver and trust."""
        return ["ip", "netns", "exec", self.namespace(*parts)]

    def build_services(self):
        """Where AWS's own services are: reached by hosts through their router, if a gateway endpoint says so."""
        name = self._add("services")
        batch(name, "link set lo up", f"addr add {topology.SERVICES_ADDRESS}/32 dev lo",
              f"addr add {topology.PUBLIC_RESOLVER}/32 dev lo")
        self._write_etc(name, topology.PUBLIC_RESOLVER)

    def build_network(self, network, number):
        """The router: no route to anywhere but its hosts, and to services as far as its rules let through.

        Services see the router, not the host: two networks may have the same addresses.
        """
        name, services, own = self._add(network.name), self.namespace("services"), f"{SERVICES_NET}.{100 + number}"
        batch(name, "link set lo up", *(f"addr add {gateway}/32 dev lo" for gateway in (*network.gateways,
                                                                                        network.resolver)))
        run(["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.ip_forward=1"])
        batch(None, f"link add services netns {name} type veth peer name {network.name} netns {services}")
        batch(name, f"addr add {own}/32 dev services", "link set services up",
              f"route add {topology.SERVICES_BLOCK} dev services src {own}")
        batch(services, f"link set {network.name} up", f"route add {own}/32 dev {network.name}")
        self.filter(network)

    def filter(self, network):
        """Security groups as they are now; takes effect at once and as a whole."""
        run(["ip", "netns", "exec", self.namespace(network.name), "nft", "-f", "-"], firewall.rules_of(network))

    def hosts_of(self, network_name):
        """Names of the hosts that a network has here."""
        return {host for network, host in self._links if network == network_name}

    def build_host(self, network, host):
        router, name = self.namespace(network.name), self._add(network.name, host.name)
        device = f"h-{host.name}"[:15]
        batch(None, f"link add eth0 netns {name} type veth peer name {device} netns {router}")
        batch(name, "link set lo up", "link set eth0 up")
        batch(router, f"link set {device} up", f"addr add {ROUTER}/32 dev {device}")
        self._write_etc(name, network.resolver)
        self._links[network.name, host.name] = None
        self.address_host(network, host)

    def address_host(self, network, host):
        """Gives a host its present addresses, and takes those away that it had."""
        before = self._links.get((network.name, host.name))
        if before == host:
            return
        router, name = self.namespace(network.name), self.namespace(network.name, host.name)
        device = f"h-{host.name}"[:15]
        for address in before.addresses if before else ():
            batch(router, f"route del {address.ip}/32 dev {device} metric {METRIC}")
        ips = [a.ip for a in host.addresses]
        batch(name, "addr flush dev eth0", *(f"addr add {ip}/32 dev eth0" for ip in ips), "link set eth0 up",
              f"route replace {ROUTER} dev eth0 scope link",
              f"route replace {network.block} via {ROUTER} dev eth0 src {ips[0]}",
              f"route replace {topology.SERVICES_BLOCK} via {ROUTER} dev eth0 src {host.service_source or ips[0]}")
        batch(router, *(f"route replace {ip}/32 dev {device} metric {METRIC}" for ip in ips))
        self._links[network.name, host.name] = host

    def remove_host(self, network_name, host_name):
        remove_namespace(self.namespace(network_name, host_name))
        self._links.pop((network_name, host_name), None)

    def _add(self, *parts):
        name = self.namespace(*parts)
        run(["ip", "netns", "add", name])
        return name

    def _write_etc(self, namespace, resolver):
        """What programs inside find in /etc: their resolver, no names but its, and the authority as the only one."""
        folder = NETNS_ETC / namespace
        (folder / "ssl" / "certs").mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text(f"nameserver {resolver}\noptions timeout:1 attempts:5\n")
        (folder / "hosts").write_text("127.0.0.1 localhost\n")
        shutil.copyfile(self.trust, folder / "ssl" / "certs" / "ca-certificates.crt")


def processes_in(identity):
    """Pids of what runs in the namespace with this device and inode, also when its name is gone."""
    found = []
    for link in pathlib.Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):   # ended meanwhile
            if _identity(link) == identity:
                found.append(int(link.parts[2]))
    return found


def _identity(path):
    status = path.stat()
    return status.st_dev, status.st_ino


def end_processes_in(identity, namespace, seconds=5):
    """Everything that runs in a namespace, by its pid: first asked, then ended."""
    deadline = time.monotonic() + seconds
    number = signal.SIGTERM
    while pids := processes_in(identity):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if time.monotonic() > deadline - seconds / 2:
            number = signal.SIGKILL
        if time.monotonic() > deadline:
            raise CommandFailed(f"{namespace}: processes {', '.join(map(str, pids))} do not end")
        time.sleep(0.05)


def remove_namespace(namespace):
    """With all that runs in it.  A program that was just starting may enter until the name is gone: it ends, too."""
    try:
        identity = _identity(NETNS / namespace)
    except FileNotFoundError:   # somebody else was quicker
        return
    end_processes_in(identity, namespace)
    run(["ip", "netns", "delete", namespace])
    end_processes_in(identity, namespace)
    shutil.rmtree(NETNS_ETC / namespace, ignore_errors=True)


def sweep(twin):
    """Removes every namespace of a twin with what runs in it; works on the remains of a killed one, too."""
    for namespace in namespaces_of(twin):
        remove_namespace(namespace)
    for folder in NETNS_ETC.glob(f"{PREFIX}{twin}-*"):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        NETNS_ETC.rmdir()   # ours alone, if it is empty
