# SPDX-License-Identifier: Apache-2.0
"""What runs where, as the state says: name servers, balancers, services, tables, the function and its mapping, sensors.

Flow    Applied, Topology -> [wanted] -> supervisor.py, which starts, restarts and ends what differs.
Owner   the supervisor.  Nothing here starts anything.
Bounds  arguments, environments, ports, topics and groups come from the state; only the twin's own folder is added.
"""

import base64
import dataclasses
import json
import re
import shlex

import balancers
import names
from brokers import IAM_BEHIND, MANAGED_BEHIND
from topology import managed_connection

TRUST = "/etc/ssl/certs/ca-certificates.crt"
TABLE_PORT = 8000   # of DynamoDB Local in the services' namespace, seen by nobody else


class NotWired(Exception):
    """Something in the state does not lead to a running program; the message names the hop."""


@dataclasses.dataclass(frozen=True)
class Program:
    """A command that is kept running.  When anything in here changes, it is started anew."""
    name: str
    command: tuple
    files: tuple = ()             # (path, text): written before it starts
    environment: tuple = ()
    restart_seconds: float = 1.0
    reload: tuple = ()            # (path, text): a change of these is a SIGHUP
    watched: tuple = ()           # anything else whose change means a new start


class Wanted:
    """Every program of a twin, for one applied state."""

    def __init__(self, twin, applied, topology, identities):
        self._twin, self._applied, self._topology, self._identities = twin, applied, topology, identities
        self.problems = []
        self._run = twin.folder / "run"

    # ---- network ----

    def name_servers(self):
        public = self._run / "public-names.conf"
        yield self._dnsmasq("names-public", ("services",), public, names.public(self._topology.public_names))
        for network in self._topology.networks.values():
            yield self._dnsmasq(f"names-{network.name}", (network.name,), self._run / f"names-{network.name}.conf",
                                names.private(network))

    def _dnsmasq(self, name, namespace, file, text):
        command = ("dnsmasq", "--keep-in-foreground", f"--conf-file={file}")
        return Program(name, (*self._twin.fabric.inside(*namespace), *command), ((file, text),))

    def links(self):
        for link in self._topology.links:
            entry = self._twin.fabric.namespace(link.entry_network, "endpoints")
            text = balancers.configuration_of(link, entry,
                                              self._twin.fabric.namespace(link.exit_network, link.exit_host))
            if text is None:
                self.problems.append(f"link {link.name}: {link.closed_because or 'its balancer has no listener'}")
                continue
            file = self._run / f"link-{link.endpoint}.cfg"
            yield Program(f"link-{link.endpoint}", ("haproxy", "-db", "-f", str(file)), ((file, text),))

    # ---- services ----

    def table_store(self):
        command = self._twin.tables.command(TABLE_PORT)
        return Program("dynamodb", (*self._twin.fabric.inside("services"), *command))

    def services(self):
        brokers = self._twin.brokers
        certificates = self._twin.folder / "certificates"
        listeners = [{"port": port, "kafka_port": behind,
                      "certificate": f"{certificates}/broker-{b.id}.pem", "key": f"{certificates}/broker-{b.id}.key",
                      "namespace": self._twin.fabric.namespace("stream", f"broker-{b.id}")}
                     for b in self._topology.brokers.values()
                     for port, behind in ((brokers.iam_port, IAM_BEHIND), (b.managed_port, MANAGED_BEHIND)) if port]
        settings = {
            "services_namespace": self._twin.fabric.namespace("services"),
            "balancers_namespace": self._twin.fabric.namespace("stream", "balancers"),
            "table_port": TABLE_PORT, "look_port": self._twin.look_port,
            "certificate": f"{certificates}/services.pem", "key": f"{certificates}/services.key",
            "cluster": self._topology.cluster["arn"], "iam_listeners": listeners, "iam_users": brokers.iam_users,
        }
        identities = [dataclasses.asdict(i) for i in self._identities]
        text = json.dumps({**settings, "identities": identities}, indent=1)
        file = self._twin.folder / "services.json"
        command = ("python3", "-B", str(self._twin.source / "services.py"), str(self._twin.folder))
        return Program("services", command, ((file, text),), reload=((file, text), (None, self._twin.states_version())),
                       watched=(json.dumps(settings),))

    # ---- the function and its mapping ----

    def consumers(self):
        for mapping in self._applied.of_type("aws_lambda_event_source_mapping"):
            try:
                yield self._consumer(mapping)
            except NotWired as problem:
                self.problems.append(f"mapping of {mapping['function_arn'].rpartition(':')[2]}: {problem}")

    def _consumer(self, mapping):
        function = self._applied.one("aws_lambda_function", arn=mapping["function_arn"])
        identity = self._identity(function["role"])
        servers, group = servers_of(self._applied, mapping), group_of(mapping) or mapping["id"]
        if not servers or self._topology.host(mapping.root, "consumer") is None:
            raise NotWired("it names no brokers, or no subnets to come from")
        # What the secrets hold, as the files that the programs take in their place.
        connection, login = self._run / "connection.json", self._run / "credentials.json"
        files = [(str(connection), self._applied.outputs["stream"]["connection_document"])]
        words = [self._twin.program, "bridge", "-b", servers, "-t", mapping["topics"][0], "-G", group,
                 "--connection", connection]
        if managed_connection(self._applied, mapping) is None:   # else by IAM, as the role
            files.append((str(login), json.dumps(self._credentials(mapping, identity))))
            words += ["--credentials", login]
        words += [*mapping_options(mapping, self._twin.folder), *self._function_options(function)]
        return Program("consumer", (*self._twin.fabric.inside(mapping.root, "consumer"), *map(str, words)),
                       tuple(files),
                       (("AWS_REGION", function["region"]), ("AWS_CA_BUNDLE", TRUST), *keys_of(identity)))

    def _function_options(self, function):
        """Where the function is and what Lambda tells it: the applied variables, to which the bridge adds its own."""
        yield from ("--function", self._twin.folder / "functions" / function["function_name"] / function["handler"])
        yield from ("--function-name", function["function_name"], "--memory", int(function["memory_size"]))
        yield from ("--timeout", f"{int(function['timeout'])}s")
        logging = function.block("logging_config")
        told = {"AWS_LAMBDA_LOG_FORMAT": logging.get("log_format"),
                "AWS_LAMBDA_LOG_LEVEL": logging.get("application_log_level")}
        for name, value in {**told, **function.block("environment").get("variables", {})}.items():
            if value:
                yield from ("--env", f"{name}={value}")

    def _identity(self, role):
        identity = next((i for i in self._identities if i.role == role), None)
        if identity is None:
            raise NotWired(f"role {role} is not applied")
        return identity

    def _credentials(self, mapping, identity):
        """What the pollers log in with, if the function's role may read it."""
        secrets = [c["uri"] for c in mapping["source_access_configuration"] if c["type"] == "SASL_SCRAM_512_AUTH"]
        if not secrets:
            raise NotWired("it has no credentials")
        if not identity.allows("secretsmanager:GetSecretValue", secrets[0]):
            raise NotWired(f"{identity.role} may not read secret {secrets[0]}")
        text = self._applied.secret(secrets[0])
        if text is None:
            raise NotWired(f"secret {secrets[0]} has no text")
        return json.loads(text)

    def impairment(self):
        """What `twin.py impair` has asked for."""
        file = self._twin.folder / "impair.json"
        part = self._topology.networks["analytics"]
        host = self._topology.host(part.name, "consumer")
        if not file.exists() or host is None:
            return
        asked = json.loads(file.read_text())
        fabric = self._twin.fabric
        words = ("python3", "-B", str(self._twin.source / "impairment.py"), fabric.namespace(part.name, host.name),
                 fabric.namespace(part.name), host.addresses[0].ip, part.block,
                 *(str(asked[n]) for n in ("delay_ms", "jitter_ms", "loss_percent")))
        yield Program("impairment", words)

    # ---- sensors ----

    def sensors(self):
        for group in self._applied.of_type("aws_autoscaling_group"):
            template = self._applied.one("aws_launch_template", id=group.block("launch_template")["id"])
            role = self._role_of(template)
            unit = unit_in(base64.b64decode(template["user_data"]).decode())
            for number in range(1, int(group["desired_capacity"]) + 1):
                yield self._sensor(number, unit, role)

    def _role_of(self, template):
        profile = self._applied.one("aws_iam_instance_profile", arn=template.block("iam_instance_profile")["arn"])
        role = self._applied.one("aws_iam_role", name=profile["role"])
        return self._identity(role["arn"])

    def _sensor(self, number, unit, identity):
        words = [w.replace("/opt/culvert", str(self._twin.sensor_program)) for w in shlex.split(unit["ExecStart"][0])]
        environment = [(name, value.replace("/opt/culvert", str(self._twin.sensor_program)))
                       for name, value in (e.split("=", 1) for e in unit.get("Environment", []))]
        restart = float(unit.get("RestartSec", ["5"])[0])
        return Program(f"sensor-{number}", (*self._twin.fabric.inside("stream", f"sensor-{number}"), *words),
                       environment=(*environment, *keys_of(identity)), restart_seconds=restart)


STARTS = {"TRIM_HORIZON": "earliest", "LATEST": "latest"}


def mapping_options(mapping, folder):
    """A mapping's arguments as the options of `culvert bridge`."""
    yield from ("--batch-size", int(mapping["batch_size"]), "--start", STARTS[mapping["starting_position"]])
    yield from ("--batching-window", f"{int(mapping['maximum_batching_window_in_seconds'] or 0)}s")
    if "ReportBatchItemFailures" in (mapping["function_response_types"] or ()):
        yield "--report-batch-item-failures"
    pollers = mapping.block("provisioned_poller_config")
    if not pollers:
        return
    yield from ("--mode", "provisioned", "--concurrency", int(pollers["maximum_pollers"] or 1))
    yield from ("--maximum-retry-attempts", int(mapping["maximum_retry_attempts"]))
    age = int(mapping["maximum_record_age_in_seconds"])
    yield from ("--maximum-record-age", "-1" if age < 0 else f"{age}s")
    if mapping["bisect_batch_on_function_error"]:
        yield "--bisect"
    if mapping.block("destination_config", "on_failure").get("destination_arn"):
        yield from ("--on-failure", folder / "on-failure")   # a queue or topic: here one file for each batch


def servers_of(applied, mapping):
    """Where a mapping's pollers begin: as it says itself, or as Amazon MSK tells them of a managed connection."""
    if connection := managed_connection(applied, mapping):
        cluster = applied.one("aws_msk_cluster", arn=connection["target_cluster_arn"])
        return cluster["bootstrap_brokers_vpc_connectivity_sasl_iam"]
    return mapping.block("self_managed_event_source", "endpoints").get("KAFKA_BOOTSTRAP_SERVERS")


def group_of(mapping):
    """The consumer group that a mapping names, or None."""
    for block in ("self_managed_kafka_event_source_config", "amazon_managed_kafka_event_source_config"):
        if group := mapping.block(block).get("consumer_group_id"):
            return group
    return None


def keys_of(identity):
    return (("AWS_ACCESS_KEY_ID", identity.access_key), ("AWS_SECRET_ACCESS_KEY", identity.secret_key))


def unit_in(script):
    """The service of an instance's first start: option -> its values, in order."""
    text = re.search(r"<<'UNIT'\n(.*?)\nUNIT\n", script, re.S)[1]
    options = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", "[")):
            options.setdefault(name, []).append(value)
    return options
