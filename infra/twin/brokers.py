# SPDX-License-Identifier: Apache-2.0
"""The cluster: one Kafka process per broker, each in its own namespace, with what the state says and nothing else.

Listeners of a broker, by whom they are for:
    clients with SCRAM    TLS, on the port of bootstrap_brokers_sasl_scram
    clients with IAM      TLS and tokens are taken off by iam_listener.py, on the port of bootstrap_brokers_sasl_iam
    managed connections   the same, with the broker's other name and a port of its own
    brokers, controllers  TLS with certificates of both sides; so comes the administrator, too

Flow    Applied, Topology -> [Brokers] -> server.properties, java.
Owner   the supervisor.
Time    three brokers are ready in 12 to 25 seconds, on a busy machine in minutes.
Bounds  as many processes of HEAP_MB as there are brokers; at most three of them are controllers.
See     https://kafka.apache.org/documentation/#kraft
"""

import base64
import json
import re
import secrets
import shutil
import subprocess
import uuid

from culvert_test.certificates import Authority
from culvert_test.kafka import PARTS
from culvert_test.parts import ClassArchive, JarPart
from culvert_test.process import Process, wait_until
from culvert_test.workspace import SupportError

MAIN_CLASS = "kafka.Kafka"
HEAP_MB = 320
# Inside the range that Amazon MSK uses among its brokers; no client ever sees them.
REPLICATION_PORT, CONTROLLER_PORT = 9093, 9095
IAM_BEHIND, MANAGED_BEHIND = 19098, 19099   # on the loopback of the broker's namespace
CONTROLLERS_MOST = 3
READY_SECONDS = 240
ADMINISTRATOR = "administrator"
# Names are looked up again after a second: a broker that moved has another address.
QUICK_NAMES = {"sun.net.inetaddr.ttl": "1", "sun.net.inetaddr.negative.ttl": "1"}


def port_of(bootstrap):
    """The port in a bootstrap string, or None."""
    return int(bootstrap.split(",")[0].rpartition(":")[2]) if bootstrap else None


def part_of(version):
    """The Kafka that comes nearest to Amazon MSK's version: the same major and minor one."""
    line = ".".join(re.findall(r"\d+", version)[:2])
    for known, part in PARTS.items():
        if known.startswith(line + "."):
            return known, part
    raise SupportError(f"Kafka {version}: the twin has {', '.join(PARTS)}")


class Brokers:
    def __init__(self, folder, fabric, admin_program, authority):
        self._folder, self._fabric, self._admin = folder / "kafka", fabric, admin_program
        self.authority = authority
        self.processes = {}    # broker id -> Process
        self._placed = {}      # broker id -> Broker as it runs
        self._archive = None
        self.iam_users = {}    # role -> (user, password)

    def prepare(self, applied, topology, identities):
        """Everything but starting: certificates, users, properties."""
        self._cluster = topology.cluster
        version, part = part_of(self._cluster["kafka_version"])
        self.version = version
        self._part = JarPart(part)
        self._archive = ClassArchive(self._part, MAIN_CLASS)
        self._folder.mkdir(exist_ok=True)
        self._scram_port = port_of(self._cluster["bootstrap_brokers_sasl_scram"])
        self.iam_port = port_of(self._cluster["bootstrap_brokers_sasl_iam"])
        self._configured = self._server_properties(applied)
        self.scram_users = self._users(applied)
        # Only roles that may connect are anybody to the cluster.
        for identity in identities:
            if identity.allows("kafka-cluster:Connect", self._cluster["arn"]) and identity.role not in self.iam_users:
                self.iam_users[identity.role] = (f"iam{len(self.iam_users) + 1}", secrets.token_urlsafe(24))
        self._authority_for(topology)

    def _authority_for(self, topology):
        for broker in topology.brokers.values():
            if not self._store(broker.id).exists():
                names = {broker.host, broker.consumer_host}
                self.authority.issue(f"broker-{broker.id}", "serverAuth,clientAuth", sorted(f"DNS:{n}" for n in names))
        if not (self._folder.parent / "certificates" / f"{ADMINISTRATOR}.pem").exists():
            self.authority.issue(ADMINISTRATOR, "clientAuth")

    def _certificates(self):
        return self._folder.parent / "certificates"

    def _store(self, number):
        return self._certificates() / f"broker-{number}.store.pem"

    def _server_properties(self, applied):
        arn = self._cluster.block("configuration_info").get("arn")
        configuration = applied.one("aws_msk_configuration", arn=arn)
        lines = configuration["server_properties"].splitlines() if configuration else []
        return dict((part.strip() for part in line.split("=", 1)) for line in lines if "=" in line)

    def _users(self, applied):
        """SCRAM users of the secrets that are associated with the cluster."""
        users = {}
        for association in applied.all("aws_msk_scram_secret_association", cluster_arn=self._cluster["arn"]):
            for arn in association["secret_arn_list"]:
                document = json.loads(applied.secret(arn) or "{}")
                if document.get("username"):
                    users[document["username"]] = document["password"]
        return users

    def properties(self, broker, topology):
        ids = sorted(topology.brokers, key=int)
        controllers = ids[:CONTROLLERS_MOST]
        copies = min(3, len(ids))
        listeners = {"REPLICATION": ("SSL", broker.address, REPLICATION_PORT, broker.host, REPLICATION_PORT)}
        if self._scram_port:
            listeners["SCRAM"] = ("SASL_SSL", broker.address, self._scram_port, broker.host, self._scram_port)
        if self.iam_port:
            listeners["IAM"] = ("SASL_PLAINTEXT", "127.0.0.1", IAM_BEHIND, broker.host, self.iam_port)
        if broker.managed_port:
            listeners["MANAGED"] = ("SASL_PLAINTEXT", "127.0.0.1", MANAGED_BEHIND, broker.consumer_host,
                                    broker.managed_port)
        bound = [f"{name}://{ip}:{port}" for name, (_, ip, port, _, _) in listeners.items()]
        if broker.id in controllers:
            bound.append(f"CONTROLLER://{broker.address}:{CONTROLLER_PORT}")
        certificates = self._certificates()
        plain = " ".join(f'user_{user}="{password}"' for user, password in self.iam_users.values())
        by_iam = {}
        for name in ("iam", "managed"):
            by_iam[f"listener.name.{name}.sasl.enabled.mechanisms"] = "PLAIN"
            by_iam[f"listener.name.{name}.plain.sasl.jaas.config"] = (
                f"org.apache.kafka.common.security.plain.PlainLoginModule required {plain};")
        return {
            "process.roles": "broker,controller" if broker.id in controllers else "broker",
            "node.id": broker.id, "broker.rack": broker.zone,
            "controller.quorum.voters": ",".join(f"{i}@{topology.brokers[i].host}:{CONTROLLER_PORT}"
                                                 for i in controllers),
            "controller.listener.names": "CONTROLLER", "inter.broker.listener.name": "REPLICATION",
            "listeners": ",".join(bound),
            "advertised.listeners": ",".join(f"{name}://{host}:{port}"
                                             for name, (_, _, _, host, port) in listeners.items()),
            "listener.security.protocol.map": ",".join(
                ["CONTROLLER:SSL", *(f"{name}:{protocol}" for name, (protocol, *_) in listeners.items())]),
            "ssl.keystore.type": "PEM", "ssl.keystore.location": self._store(broker.id), "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority.certificate,
            "listener.name.replication.ssl.client.auth": "required",
            "listener.name.controller.ssl.client.auth": "required",
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.scram.scram-sha-512.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            **by_iam,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # One name for all brokers: those that are added later are known to those that run.
            "ssl.principal.mapping.rules": "RULE:^CN=broker-[0-9]+$/brokers/,DEFAULT",
            "super.users": f"User:brokers;User:CN={ADMINISTRATOR}",
            "log.dirs": self._folder / f"broker-{broker.id}" / "data",
            "num.network.threads": 2, "num.io.threads": 2, "background.threads": 2,
            "log.cleaner.dedupe.buffer.size": 8 << 20,
            "offsets.topic.replication.factor": copies, "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": copies, "transaction.state.log.min.isr": min(2, copies),
            "transaction.state.log.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0, "broker.heartbeat.interval.ms": 500,
            # A killed broker is missed, and may register again, only after this time.
            "broker.session.timeout.ms": 3000,
            "certificates": certificates,
            **self._configured,
        }

    def start(self, topology):
        """Starts what does not run, and starts again, elsewhere, what has moved."""
        for broker in topology.brokers.values():
            process = self.processes.get(broker.id)
            if process is not None and process.alive and self._placed[broker.id] == broker:
                continue
            if process is not None:
                process.kill()
            self._start(broker, topology)

    def moved(self, topology):
        return [b for b in topology.brokers.values() if b.id in self._placed and self._placed[b.id] != b]

    def _start(self, broker, topology):
        folder = self._folder / f"broker-{broker.id}"
        folder.mkdir(exist_ok=True)
        file = folder / "server.properties"
        values = self.properties(broker, topology)
        values.pop("certificates")
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        self._format(broker, folder, file)
        log = {"org.slf4j.simpleLogger.defaultLogLevel": "warn", "org.slf4j.simpleLogger.showDateTime": "true",
               "org.slf4j.simpleLogger.dateTimeFormat": "HH:mm:ss.SSS"}
        command = self._part.command(MAIN_CLASS, [file], HEAP_MB, {**log, **QUICK_NAMES}, archive=self._archive)
        self.processes[broker.id] = Process([*self._fabric.inside("stream", f"broker-{broker.id}"), *command],
                                            name=f"broker-{broker.id}", directory=folder)
        self._placed[broker.id] = broker

    def _format(self, broker, folder, properties):
        """Kafka's own tool makes the users' checkpoint once; the rest is a file of four lines."""
        data = folder / "data"
        if data.exists():
            return
        checkpoint = self._folder / "bootstrap.checkpoint"
        identity = self._folder / "cluster.id"
        if not checkpoint.exists():
            identity.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
            words = ["format", "-t", identity.read_text(), "-c", properties]
            for name, password in sorted(self.scram_users.items()):
                words += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
            done = subprocess.run(self._part.command("kafka.tools.StorageTool", words, 128), capture_output=True,
                                  text=True, timeout=60)
            if done.returncode != 0:
                raise SupportError(f"formatting Kafka's storage failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            shutil.move(data / "bootstrap.checkpoint", checkpoint)
            shutil.rmtree(data)
        data.mkdir()
        shutil.copy(checkpoint, data / "bootstrap.checkpoint")
        directory_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        lines = ["version=1", f"cluster.id={identity.read_text()}", f"node.id={broker.id}",
                 f"directory.id={directory_id}"]
        (data / "meta.properties").write_text("\n".join(lines) + "\n")

    # ---- administration, as somebody inside the stream network does it ----

    def admin(self, *arguments, timeout=30):
        """One command of kafka_admin with the administrator's certificate; returns its JSON."""
        placed = next(b for b in self._placed.values() if self.processes[b.id].alive)
        certificates = self._certificates()
        servers = ",".join(f"{b.host}:{REPLICATION_PORT}" for b in self._placed.values())
        options = {"bootstrap.servers": servers, "security.protocol": "SSL",
                   "ssl.ca.location": self.authority.certificate,
                   "ssl.certificate.location": certificates / f"{ADMINISTRATOR}.pem",
                   "ssl.key.location": certificates / f"{ADMINISTRATOR}.key"}
        words = [w for name, value in options.items() for w in ("-X", f"{name}={value}")]
        command = [*self._fabric.inside("stream", f"broker-{placed.id}"), self._admin, *words, "--timeout", timeout,
                   *arguments]
        done = subprocess.run([str(w) for w in command], capture_output=True, text=True, timeout=timeout + 15)
        if done.returncode != 0:
            raise SupportError(f"kafka_admin {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def wait_ready(self, count):
        def ready():
            for process in self.processes.values():
                if not process.alive:
                    raise SupportError(f"{process.name} ended with {process.returncode}\n{process.tail()}")
            try:
                return self.admin("wait-ready", count, timeout=5)
            except (SupportError, subprocess.TimeoutExpired):
                return None
        wait_until(ready, READY_SECONDS, f"{count} brokers know each other", interval=0.5)

    def make_topics(self, applied):
        for topic in applied.all("aws_msk_topic", cluster_arn=self._cluster["arn"]):
            name, partitions = topic["name"], int(topic["partition_count"])
            try:
                present = len(self.admin("describe-topic", name)["partitions"])
            except SupportError:
                present = 0
            if present == 0:
                self.admin("create-topic", name, "--partitions", partitions, "--replication",
                           int(topic["replication_factor"]))
            elif present < partitions:
                self.admin("add-partitions", name, partitions)

    def allow(self, applied, identities):
        """Access rules: the consumers' as the stream root prints them, roles' as their policies say."""
        for rule in applied.outputs["stream"].get("consumer_acls") or ():
            self.admin("create-acl", rule["principal"], rule["operation"], rule["resource_type"], rule["resource_name"])
        prefix = self._cluster["arn"].replace(":cluster/", ":{}/") + "/"
        for identity in identities:
            if identity.role not in self.iam_users:
                continue
            user = f"User:{self.iam_users[identity.role][0]}"
            for action, operation, kind in IAM_ACTIONS:
                for resource in identity.resources_of(action):
                    if resource.startswith(prefix.format(kind)):
                        name = resource.removeprefix(prefix.format(kind))
                        extra = ["--prefixed"] if name.endswith("*") else []
                        self.admin("create-acl", user, operation, kind, name.rstrip("*") or "*", *extra)


# What a topic's or group's IAM action means to Kafka.
IAM_ACTIONS = (("kafka-cluster:WriteData", "WRITE", "topic"), ("kafka-cluster:DescribeTopic", "DESCRIBE", "topic"),
               ("kafka-cluster:ReadData", "READ", "topic"), ("kafka-cluster:AlterGroup", "READ", "group"),
               ("kafka-cluster:DescribeGroup", "DESCRIBE", "group"))


def make_authority(folder):
    """The authority that stands for the public ones; its key never leaves the twin's folder."""
    certificates = folder / "certificates"
    certificates.mkdir(mode=0o700, exist_ok=True)
    return Authority(certificates, "twin-authority")
