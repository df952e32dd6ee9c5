# SPDX-License-Identifier: Apache-2.0
"""Tries every hop of the private path from where the function is, and names the first one that is broken.

Flow    Applied, Topology -> [check] -> a program inside the consumer's namespace -> findings.
Owner   twin.py check, tests.
Time    TRY_SECONDS for each broker that keeps silent; brokers are tried side by side.
Bounds  looks and connects; changes nothing.
See     `culvert doctor` for the hops as a client alone can see them: this knows both sides.
"""

import dataclasses
import json
import re
import subprocess

from identity import identities_of
from programs import group_of
from topology import managed_connection

TRY_SECONDS = 3
PROBE = """
import json, socket, ssl, sys, threading
def attempt(host, port, seconds):
    found = {"addresses": []}
    try:
        found["addresses"] = sorted({a[4][0] for a in socket.getaddrinfo(host, port, socket.AF_INET)})
    except socket.gaierror:
        found["outcome"] = "no such name"
        return found
    for address in found["addresses"]:
        try:
            with socket.create_connection((address, port), seconds) as plain:
                plain.settimeout(seconds)
                found["outcome"] = "connected"
                with ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt").wrap_socket(
                        plain, server_hostname=host):
                    found["outcome"] = "verified"
        except ssl.SSLCertVerificationError as error:
            found["outcome"], found["text"] = "other certificate", error.verify_message
        except TimeoutError:
            found["outcome"] = "silence" if found.get("outcome") != "connected" else "silence after connecting"
        except OSError as error:
            found.setdefault("outcome", "refused")
            if found["outcome"] == "connected":
                found["outcome"] = "closed"
            found["text"] = str(error)
        if found["outcome"] != "verified":
            found["address"] = address
            break
    return found
results = {}
def run(key, host, port):
    results[key] = attempt(host, port, float(sys.argv[2]))
threads = [threading.Thread(target=run, args=(k, h, p)) for k, h, p in json.loads(sys.argv[1])]
for t in threads: t.start()
for t in threads: t.join()
print(json.dumps(results))
"""


@dataclasses.dataclass(frozen=True)
class Finding:
    hop: str        # name, zone, security group, private link, load balancer, target, certificate, hand-over ..
    text: str

    def __str__(self):
        return f"{self.hop}: {self.text}"


def probe(fabric, network, host, attempts, seconds=TRY_SECONDS):
    """attempts: (key, host name, port); what became of each, by key."""
    command = [*fabric.inside(network, host), "python3", "-c", PROBE, json.dumps(attempts), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 10 + 30, check=True)
    return json.loads(done.stdout)


def counters(fabric, network):
    """How many packets no rule has let through, outbound and inbound."""
    command = [*fabric.inside(network), "nft", "list", "counters"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    return {name: int(packets) for name, packets in re.findall(r"counter (\w+) \{\s+packets (\d+)", text)}


def check(fabric, applied, topology):
    """Every finding; none: the path works for every broker of the cluster."""
    document = json.loads(applied.outputs["stream"]["connection_document"])
    findings = list(_static(applied, topology, document))
    known = [b for b in topology.brokers.values() if document["brokers"].get(b.id, {}).get("host") == b.consumer_host]
    before = counters(fabric, "analytics")
    attempts = [(b.id, b.consumer_host, document["brokers"][b.id]["port"]) for b in known]
    services = f"kafka.{topology.region}.amazonaws.com"
    results = probe(fabric, "analytics", "consumer", [*attempts, ("services", services, 443)])
    refused = {name: packets - before.get(name, 0) for name, packets in counters(fabric, "analytics").items()}
    for broker in known:
        finding = _judge(topology, broker, document["brokers"][broker.id]["port"], results[broker.id], refused)
        if finding:
            findings.append(finding)
    if results["services"]["outcome"] == "no such name":
        findings.append(Finding("zone", f"{services} does not resolve in the analytics network: a private zone hides "
                                "it"))
    return findings


def _static(applied, topology, document):
    """What the state alone shows to be wrong."""
    for broker in topology.brokers.values():
        entry = document["brokers"].get(broker.id)
        if entry is None:
            yield Finding("hand-over", f"broker {broker.id} ({broker.host}) is not in it: nobody can read from it")
        elif entry["host"] != broker.consumer_host:
            yield Finding("hand-over", f"broker {broker.id} is {broker.consumer_host}, the hand-over says "
                          f"{entry['host']}")
    topics = {t["name"]: t for t in applied.of_type("aws_msk_topic")}
    for mapping in applied.of_type("aws_lambda_event_source_mapping"):
        rule, readable = _readable(applied, mapping)
        for topic in mapping["topics"]:
            if topic not in topics:
                yield Finding("topic", f"the mapping reads '{topic}', the cluster has {', '.join(sorted(topics))}")
            elif not readable("topic", topic):
                yield Finding("topic", f"no {rule} lets the consumer read '{topic}'")
        group = group_of(mapping)
        if group is None:
            yield Finding("group", f"the mapping names no consumer group: AWS makes one up, which no {rule} lets in")
        elif not readable("group", group):
            yield Finding("group", f"no {rule} lets the consumer use group '{group}'")
        if mapping["starting_position"] == "LATEST":
            yield Finding("mapping", "starts at LATEST: what arrives before its first poll is never read")


def _readable(applied, mapping):
    """What decides over a mapping's reading, and its verdict on a topic or a group by name."""
    connection = managed_connection(applied, mapping)
    if connection is None:
        acls = {(a["resource_type"], a["resource_name"]) for a in applied.outputs["stream"].get("consumer_acls") or ()
                if a["operation"] == "READ"}
        return "ACL", lambda kind, name: (kind, name) in acls
    role = applied.one("aws_lambda_function", arn=mapping["function_arn"])["role"]
    identity = next(i for i in identities_of(applied, {}) if i.role == role)
    actions = {"topic": "kafka-cluster:ReadData", "group": "kafka-cluster:AlterGroup"}

    def allowed(kind, name):
        return identity.allows(actions[kind], connection["target_cluster_arn"].replace(":cluster/", f":{kind}/")
                               + f"/{name}")
    return "policy", allowed


def _judge(topology, broker, port, found, refused):
    """The first broken hop on the way to one broker, or None."""
    link, outcome, who = topology.link_to(broker, found["addresses"]), found["outcome"], f"broker {broker.id}"
    if outcome == "no such name":
        return Finding("name", f"{who}: {broker.consumer_host} does not exist in the analytics network")
    if link is None:
        return Finding("name", f"{who}: {broker.consumer_host} is {', '.join(found['addresses'])} there, which is no "
                       "endpoint: its zone lacks the record")
    if link.closed_because:
        return Finding("private link", f"{who}: {link.closed_because}")
    if outcome == "verified":
        return None
    if link.port != port:
        return Finding("load balancer", f"{who}: {link.name} listens on {link.port}, clients come to {port}")
    if outcome == "other certificate":
        return Finding("certificate", f"{who}: {link.name} leads to another broker ({found['text']})")
    if link.targets != ((broker.address, port),) and outcome in ("closed", "silence after connecting", "connected"):
        there = ", ".join(f"{ip}:{p}" for ip, p in link.targets) or "nowhere"
        return Finding("target", f"{who} is at {broker.address}:{port}, the target of {link.name} is {there}")
    if outcome == "silence":
        return _silent(link, who, port, refused)
    if outcome == "refused":
        return Finding("load balancer", f"{who}: nothing listens on {found['address']}:{port} ({found['text']})")
    return Finding("broker", f"{who}: {link.name} accepts, but nothing answers behind it ({outcome})")


def _silent(link, who, port, refused):
    if link.sources_let_in is not None:
        return Finding("load balancer", f"{who}: {link.name} enforces its group's rules on private link traffic, and "
                       "none lets the consumer in")
    for name, side in (("refused_outbound", "consumer's"), ("refused_inbound", "endpoints'")):
        if refused.get(name, 0) > 0:
            return Finding("security group", f"{who}: the {side} group does not let port {port} through")
    return Finding("network", f"{who}: no answer from {', '.join(link.entry)}")
