# SPDX-License-Identifier: Apache-2.0
"""A real Kafka as a test part: one or three nodes on 127.0.0.1, secured as in production.

Every node has four listeners: CLIENT (TLS and SCRAM-SHA-512, access rules apply), MTLS (TLS with a client
certificate, access rules apply), ADMIN (plaintext, a super user: set-up, inspection and traffic between brokers) and
CONTROLLER.  With secure=False only the last two exist and nothing is authorised.
"""

import base64
import dataclasses
import json
import pathlib
import shutil
import subprocess
import uuid

from . import kafka_wire, ports
from .certificates import Authority
from .parts import ClassArchive, JarPart, compiled_jar
from .process import Process, wait_until
from .workspace import SupportError, build_directory, workspace

MAIN_CLASS = "kafka.Kafka"
PARTS = {"4.1.1": "kafka", "3.9.1": "kafka39"}
USERS = {"admin": "admin-secret", "app": "app-secret", "other": "other-secret"}
SUPER_USER = "admin"
CLUSTER_ID = "culvert-test-cluster-0"
READY_SECONDS = 240
ADMIN_SECONDS = 30


@dataclasses.dataclass
class Node:
    """One broker and its ports; `process` is None while it is down."""

    number: int
    directory: pathlib.Path
    client_port: int
    mtls_port: int
    admin_port: int
    controller_port: int
    bearer_port: int
    process: Process | None = None

    @property
    def alive(self):
        return self.process is not None and self.process.alive


@dataclasses.dataclass
class Bearer:
    """Who judges the tokens of the listener BEARER."""

    validator: pathlib.Path         # Java source of a class that handles OAuthBearerValidatorCallback
    properties: dict                # system properties for it
    reauthentication_ms: int = 0    # how soon a connection must show a token again; 0: never


class KafkaCluster:
    """Use as a context manager, or start() and stop().

    users      name -> password, for SCRAM; "admin" is a super user
    config     further broker properties, which win over those set here
    advertise  node number -> (host, port) to announce on CLIENT instead of its own: for a proxy in between
    further    listener name -> (host, port) to announce on it: plaintext, a super user's, for announcements that lead
               elsewhere; further_ports says where each listens on the first node
    names      further names for the brokers' certificate ("DNS:..", "IP:..")
    expired    the brokers' certificate ran out yesterday
    bearer     a listener BEARER (TLS and SASL/OAUTHBEARER, access rules apply): see Bearer
    quick      False for measuring throughput: starts slower, runs with the optimising compiler
    """

    def __init__(self, nodes=1, secure=True, version="4.1.1", users=None, config=None, advertise=None, further=None,
                 names=(), expired=False, bearer=None, quick=True, heap_mb=384):
        if version not in PARTS:
            raise SupportError(f"Kafka {version}: not one of {', '.join(PARTS)}")
        self.secure = secure
        self.version = version
        self.users = {**USERS, **(users or {})}
        self.directory = workspace().directory("kafka")
        self.nodes = [self._make_node(number) for number in range(1, nodes + 1)]
        self._config = config or {}
        self._advertise = advertise or {}
        self._further = further or {}
        self.further_ports = {name: ports.free_port() for name in self._further}
        self._names = names
        self._expired = expired
        self._bearer = bearer
        self._quick = quick
        self._heap_mb = heap_mb
        self._part = None
        self._archive = None
        self._rules = 0

    def _make_node(self, number):
        directory = self.directory / f"node{number}"
        directory.mkdir()
        return Node(number, directory, *ports.free_ports(5))

    # ---- addresses and credentials

    @property
    def bootstrap(self):
        """Where clients connect: CLIENT, or ADMIN if the cluster is not secure."""
        if not self.secure:
            return self.admin_bootstrap
        return ",".join(f"{h}:{p}" for h, p in (self._advertised(node) for node in self.nodes))

    @property
    def mtls_bootstrap(self):
        return ",".join(f"localhost:{node.mtls_port}" for node in self.nodes)

    @property
    def admin_bootstrap(self):
        return ",".join(f"127.0.0.1:{node.admin_port}" for node in self.nodes)

    @property
    def bearer_bootstrap(self):
        return ",".join(f"localhost:{node.bearer_port}" for node in self.nodes)

    @property
    def ca(self):
        return self.directory / "certificates" / "test-ca.pem"

    @property
    def wrong_ca(self):
        """A valid authority that has not signed the brokers' certificate."""
        return self.directory / "certificates" / "other-ca.pem"

    @property
    def mtls_principal(self):
        return "CN=mtls-client"

    def client_properties(self, user="app", password=None):
        """librdkafka's properties for the CLIENT listener (`password` to give a wrong one)."""
        if not self.secure:
            return {"bootstrap.servers": self.bootstrap}
        return {"bootstrap.servers": self.bootstrap, "security.protocol": "SASL_SSL",
                "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user,
                "sasl.password": self.users[user] if password is None else password, "ssl.ca.location": str(self.ca)}

    def mtls_properties(self):
        """librdkafka's properties for the MTLS listener; the user is then `mtls_principal`."""
        directory = self.directory / "certificates"
        return {"bootstrap.servers": self.mtls_bootstrap, "security.protocol": "SSL", "ssl.ca.location": str(self.ca),
                "ssl.certificate.location": str(directory / "mtls-client.pem"),
                "ssl.key.location": str(directory / "mtls-client.key")}

    @staticmethod
    def options(properties):
        """The properties as kcat's and culvert's options: ["-X", "name=value", ...]."""
        return [word for name, value in properties.items() for word in ("-X", f"{name}={value}")]

    # ---- life

    def start(self):
        self._part = JarPart(PARTS[self.version])
        # One recorded with a further jar would be refused by everybody who starts without it.
        self._archive = ClassArchive(self._part, MAIN_CLASS, record=self._bearer is None)
        if self.secure:
            self._make_certificates()
        for node in self.nodes:
            self._write_properties(node)
        for node in self.nodes:
            self._format(node)
        for node in self.nodes:
            self._launch(node)
        self.wait_ready()
        return self

    def stop(self):
        """Ends all nodes at once, without ceremony: their data goes too."""
        for node in self.nodes:
            if node.process is not None:
                if self._archive.recording and node is self.nodes[0]:
                    node.process.stop(timeout=60)
                node.process.kill()
                node.process = None
            shutil.rmtree(node.directory / "data", ignore_errors=True)
        if self._archive is not None:
            self._archive.keep()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def node(self, number):
        return self.nodes[number - 1]

    def kill(self, number):
        """Ends a node as a power cut would."""
        self.node(number).process.kill()
        self.node(number).process = None

    def stop_node(self, number, timeout=30):
        """Ends a node in order: it hands its partitions over first."""
        self.node(number).process.stop(timeout)
        self.node(number).process = None

    def restart(self, number, wait=True):
        """Starts a node again with the data it had; a running one is stopped in order first."""
        node = self.node(number)
        if node.alive:
            self.stop_node(number)
        self._launch(node)
        if wait:
            self.wait_ready()

    def pause(self, number):
        """A node that hangs: its connections stay open and nothing is answered."""
        self.node(number).process.pause()

    def resume(self, number):
        self.node(number).process.resume()

    def wait_ready(self, timeout=READY_SECONDS):
        """Waits until every running node knows every running node."""
        running = [node for node in self.nodes if node.alive]
        wanted = {node.number for node in running}
        for node in running:
            wait_until(lambda n=node: wanted <= set(kafka_wire.metadata(n.admin_port)["brokers"]), timeout,
                       f"Kafka node {node.number} sees nodes {sorted(wanted)}", process=node.process)

    # ---- topics, access rules, offsets

    def create_topic(self, name, partitions=1, config=None, replication=None):
        """Creates a topic, waits until every running node knows its leaders, and returns its topic id."""
        words = [f"--config={key}={value}" for key, value in (config or {}).items()]
        self.admin("create-topic", name, "--partitions", partitions, "--replication",
                   replication or min(3, len(self.nodes)), *words)
        self.wait_leaders(name, partitions)
        return self.describe_topic(name)["id"]

    def wait_leaders(self, topic, partitions, timeout=READY_SECONDS):
        """Waits until every running node knows a running leader for each partition."""
        running = {node.number: node for node in self.nodes if node.alive}

        def settled(node):
            leaders = kafka_wire.metadata(node.admin_port, topic)["partitions"]
            return len(leaders) >= partitions and all(leader in running for leader in leaders.values())

        for node in running.values():
            wait_until(lambda n=node: settled(n), timeout, f"node {node.number} knows the leaders of {topic}",
                       process=node.process)

    def leader(self, topic, partition=0):
        """The number of the node that leads a partition, or -1."""
        for node in self.nodes:
            if node.alive:
                return kafka_wire.metadata(node.admin_port, topic)["partitions"].get(partition, -1)
        raise SupportError("no node is running")

    def delete_topic(self, name):
        """Deletes a topic and waits until every running node has forgotten it."""
        self.admin("delete-topic", name)
        for node in self.nodes:
            if node.alive:
                wait_until(lambda n=node: not kafka_wire.metadata(n.admin_port, name)["partitions"], ADMIN_SECONDS,
                           f"node {node.number} has forgotten {name}", process=node.process)

    def add_partitions(self, topic, total):
        self.admin("add-partitions", topic, total)
        self.wait_leaders(topic, total)

    def alter_topic(self, topic, config):
        self.admin("alter-topic", topic, *[f"{key}={value}" for key, value in config.items()])

    def describe_topic(self, name):
        """{"name", "id", "partitions": [{"partition", "leader", "replicas", "isr"}]}"""
        return self.admin("describe-topic", name)

    def end_offsets(self, topic):
        """Partition -> log end offset (the next offset to be written)."""
        return {int(p): offset for p, offset in self.admin("end-offsets", topic).items()}

    def start_offsets(self, topic):
        """Partition -> the first offset still there."""
        return {int(p): offset for p, offset in self.admin("start-offsets", topic).items()}

    def delete_records(self, topic, partition, before):
        """Moves the log's start up to `before`, as retention would."""
        self.admin("delete-records", topic, partition, before)

    def transact(self, topic, partition, values, abort=False):
        """Produces the values in one transaction; aborted, they and a marker are in the log all the same."""
        self.admin("transact", topic, partition, *values, *(["--abort"] if abort else []),
                   properties={"bootstrap.servers": self.admin_bootstrap, "transactional.id": f"transact-{topic}"})

    def group_offsets(self, group, topic):
        """Partition -> committed offset, for partitions that have one."""
        return {int(p): offset for p, offset in self.admin("group-offsets", group, topic).items()}

    def acl(self, user, operations, topic=None, group=None, cluster=False, prefixed=False, deny=False):
        """Allows (or denies) a user some operations, e.g. acl("app", ["READ", "DESCRIBE"], topic="t"); waits until
        every running node applies it."""
        resources = [(kind, name) for kind, name in (("topic", topic), ("group", group),
                                                     ("cluster", "kafka-cluster" if cluster else None))
                     if name is not None]
        for kind, name in resources:
            for operation in operations:
                self.admin("create-acl", f"User:{user}", operation, kind, name,
                           *(["--prefixed"] if prefixed else []), *(["--deny"] if deny else []))
                self._rules += 1
        self._wait_rules()

    def delete_acls(self, user):
        """Takes away every rule of a user."""
        self._rules -= self.admin("delete-acls", f"User:{user}")["deleted"]
        self._wait_rules()

    def rules_changed(self, by):
        """So many rules were made (or removed) by somebody else: waits until every running node applies them."""
        self._rules += by
        self._wait_rules()

    def _wait_rules(self):
        for node in self.nodes:
            if node.alive:
                wait_until(lambda n=node: kafka_wire.acl_count(n.admin_port) == self._rules, ADMIN_SECONDS,
                           f"node {node.number} applies {self._rules} access rules", process=node.process)

    def admin(self, *arguments, properties=None, timeout=ADMIN_SECONDS):
        """Runs kafka_admin as the super user and returns its JSON; `properties` to go as somebody else."""
        program = build_directory() / "kafka_admin"
        if not program.exists():
            raise SupportError(f"{program} is missing (cmake --build {build_directory()} --target kafka_admin)")
        options = self.options(properties or {"bootstrap.servers": self.admin_bootstrap})
        command = [str(word) for word in (program, *options, "--timeout", timeout, *arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout + 10, check=False)
        if done.returncode != 0:
            raise SupportError(f"kafka_admin {' '.join(map(str, arguments))}: exit code {done.returncode}: "
                               f"{done.stderr.strip()}")
        return json.loads(done.stdout)

    # ---- making of

    def _advertised(self, node):
        return self._advertise.get(node.number, ("localhost", node.client_port))

    def _make_certificates(self):
        directory = self.directory / "certificates"
        if directory.exists():
            return
        directory.mkdir()
        authority = Authority(directory, "test-ca")
        Authority(directory, "other-ca")
        authority.issue("kafka-broker", "serverAuth,clientAuth", ["DNS:localhost", "IP:127.0.0.1", *self._names],
                        self._expired)
        authority.issue("mtls-client", "clientAuth")

    def _write_properties(self, node):
        count = len(self.nodes)
        replication, in_sync = (3, 2) if count >= 3 else (count, 1)
        listeners = {"ADMIN": ("PLAINTEXT", node.admin_port), "CONTROLLER": ("PLAINTEXT", node.controller_port)}
        if self.secure:
            listeners.update({"CLIENT": ("SASL_SSL", node.client_port), "MTLS": ("SSL", node.mtls_port)})
        announced = [f"ADMIN://127.0.0.1:{node.admin_port}"]
        for name, (host, port) in self._further.items() if node.number == 1 else ():
            listeners[name] = ("PLAINTEXT", self.further_ports[name])
            announced.append(f"{name}://{host}:{port}")
        if self.secure:
            host, port = self._advertised(node)
            announced += [f"CLIENT://{host}:{port}", f"MTLS://localhost:{node.mtls_port}"]
        if self._bearer is not None:
            listeners["BEARER"] = ("SASL_SSL", node.bearer_port)
            announced.append(f"BEARER://localhost:{node.bearer_port}")
        properties = {
            "process.roles": "broker,controller",
            "node.id": node.number,
            "controller.quorum.voters": ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in self.nodes),
            "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, (_, port) in listeners.items()),
            "advertised.listeners": ",".join(announced),
            "listener.security.protocol.map": ",".join(f"{n}:{protocol}" for n, (protocol, _) in listeners.items()),
            "inter.broker.listener.name": "ADMIN",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": node.directory / "data",
            "num.network.threads": 2,
            "num.io.threads": 2,
            "background.threads": 2,
            "log.cleaner.dedupe.buffer.size": 8 << 20,
            "default.replication.factor": replication,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": replication,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": replication,
            "transaction.state.log.min.isr": in_sync,
            "transaction.state.log.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "auto.create.topics.enable": "false",
            "broker.heartbeat.interval.ms": 500,
            # A killed node is missed, and may register again, only after this time.
            "broker.session.timeout.ms": 3000,
            **(self._security() if self.secure else {}),
            **(self._bearer_security() if self._bearer is not None else {}),
            **self._config,
        }
        text = "".join(f"{name}={value}\n" for name, value in properties.items())
        (node.directory / "server.properties").write_text(text, encoding="utf-8")

    def _security(self):
        directory = self.directory / "certificates"
        return {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.client.scram-sha-512.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": directory / "kafka-broker.store.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": directory / "test-ca.pem",
            "listener.name.mtls.ssl.client.auth": "required",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{SUPER_USER};User:ANONYMOUS",  # ANONYMOUS comes in by ADMIN only
            "allow.everyone.if.no.acl.found": "false",
        }

    def _bearer_security(self):
        listener = "listener.name.bearer"
        mechanism = f"{listener}.oauthbearer"
        return {
            f"{listener}.sasl.enabled.mechanisms": "OAUTHBEARER",
            f"{mechanism}.sasl.jaas.config":
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
            f"{mechanism}.sasl.server.callback.handler.class": self._bearer.validator.stem,
            f"{mechanism}.connections.max.reauth.ms": self._bearer.reauthentication_ms,
        }

    def _format(self, node):
        """Prepares the data directory.  What the format tool writes depends on version and users only, so it runs
        once a machine (a second each time otherwise); the rest is a file of four lines."""
        data = node.directory / "data"
        if data.exists():
            return
        users = sorted(self.users.items())
        checkpoint = self._part.cache_file("checkpoint", json.dumps(users))
        if not checkpoint.exists():
            self._record_checkpoint(node, users, checkpoint)
        data.mkdir()
        shutil.copy(checkpoint, data / "bootstrap.checkpoint")
        directory_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        lines = ["version=1", f"cluster.id={CLUSTER_ID}", f"node.id={node.number}", f"directory.id={directory_id}"]
        (data / "meta.properties").write_text("\n".join(lines) + "\n", encoding="ascii")

    def _record_checkpoint(self, node, users, checkpoint):
        words = ["format", "-t", CLUSTER_ID, "-c", node.directory / "server.properties"]
        for name, password in users:
            words += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        command = self._part.command("kafka.tools.StorageTool", words, 128, self._logging("error"))
        process = Process(command, name="format", directory=node.directory)
        if process.wait(60) != 0:
            raise SupportError(f"formatting Kafka's storage failed\n{process.tail()}")
        data = node.directory / "data"
        temporary = checkpoint.with_suffix(f".{uuid.uuid4().hex}.tmp")
        shutil.copy(data / "bootstrap.checkpoint", temporary)
        temporary.rename(checkpoint)
        shutil.rmtree(data)

    @staticmethod
    def _logging(level):
        return {"org.slf4j.simpleLogger.defaultLogLevel": level, "org.slf4j.simpleLogger.showDateTime": "true",
                "org.slf4j.simpleLogger.dateTimeFormat": "HH:mm:ss.SSS"}

    def _launch(self, node):
        properties, further_jars = self._logging("warn"), []
        if self._bearer is not None:
            properties |= self._bearer.properties
            further_jars.append(compiled_jar(self._bearer.validator, self._part))
        command = self._part.command(MAIN_CLASS, [node.directory / "server.properties"], self._heap_mb, properties,
                                     self._quick, self._archive, further_jars)
        node.process = Process(command, name=f"kafka-{node.number}", directory=node.directory)
