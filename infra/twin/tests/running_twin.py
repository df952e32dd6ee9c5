# SPDX-License-Identifier: Apache-2.0
"""A twin for a test: started once, used by its commands as a person would, gone at the end whatever happens."""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

import twin_case
import deployment
import hops
import network
import tables
import twin
from applied import read as read_applied
from culvert_test.process import wait_until
from culvert_test.workspace import SupportError, build_directory
from topology import topology_of

UP_SECONDS = 400


class RunningTwin(unittest.TestCase):
    """`inputs`: assignments for up, as a person gives them."""

    inputs = ()

    @classmethod
    def setUpClass(cls):
        cls.name = f"t{os.getpid()}"
        cls.place = twin.Place(cls.name)
        cls.addClassCleanup(cls._end)
        cls.command("up", "--no-wait", *cls.inputs, timeout=UP_SECONDS)

    @classmethod
    def _end(cls):
        """Also keeps the logs, if something has gone wrong."""
        if os.environ.get("CULVERT_TWIN_KEEP"):
            return
        cls.command("down", timeout=120)

    @classmethod
    def command(cls, *arguments, timeout=120, expect=0):
        command = [sys.executable, "-B", str(twin_case.TWIN / "twin.py"), "--name", cls.name, "--build",
                   str(build_directory()), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        if expect is not None and done.returncode != expect:
            raise SupportError(f"twin.py {' '.join(map(str, arguments))}: exit code {done.returncode}, expected "
                               f"{expect}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}\n{cls.logs()}")
        return done.stdout + done.stderr

    @classmethod
    def logs(cls):
        """The last lines of every program."""
        parts = []
        for path in sorted((cls.place.folder / "logs").glob("*.err")) + [cls.place.folder / "progress"]:
            if path.exists() and path.stat().st_size:
                last = path.read_text(errors="replace").splitlines()[-4:]
                parts.append(f"--- {path.name}:\n" + "\n".join(last)[-1500:])
        return "\n".join(parts)

    # ---- what it is ----

    def applied(self):
        return read_applied(self.place.folder)

    def topology(self):
        return topology_of(self.applied())

    def fabric(self):
        return network.Fabric(self.name, None)

    def findings(self):
        return [str(f) for f in hops.check(self.fabric(), self.applied(), self.topology())]

    def mapping(self):
        return self.applied().of_type("aws_lambda_event_source_mapping")[0]

    @property
    def table(self):
        return self.applied().outputs["analytics"]["tables"]["aggregates"]

    def items(self, name=None):
        return tables.count(self.place.status()["look_port"], name or self.table)

    def checkpointed(self):
        """Records below the checkpoints' next, over all partitions."""
        name = self.applied().outputs["analytics"]["tables"]["checkpoints"]
        page = tables.call(self.place.status()["look_port"], "Scan", {"TableName": name})
        return sum(int(item["next"]["N"]) for item in page["Items"] if "next" in item)   # one is the definition

    def wait_progress(self, seconds, what, records=200):
        """Until so many more records are in the table than are now."""
        before = self.checkpointed()
        return wait_until(lambda: self.checkpointed() >= before + records, seconds, what, interval=0.5)

    # ---- what runs in it ----

    def inside(self, host, *words, timeout=60, env=None, expect=0):
        where = "stream" if host.startswith(("broker", "sensor", "balancers")) else "analytics"
        done = subprocess.run([*self.fabric().inside(where, host), *map(str, words)], capture_output=True, text=True,
                              timeout=timeout, env={**os.environ, **(env or {})})
        if expect is not None:
            self.assertEqual(done.returncode, expect, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def client(self):
        """Options that make culvert log in as the mapping does."""
        mapping = self.mapping()
        credentials = json.loads(self.applied().secret(next(
            c["uri"] for c in mapping["source_access_configuration"] if c["type"] == "SASL_SCRAM_512_AUTH")))
        password = self.place.folder / "run" / "test.password"
        password.touch(mode=0o600)
        password.write_text(credentials["password"])
        return ["-b", mapping.block("self_managed_event_source", "endpoints")["KAFKA_BOOTSTRAP_SERVERS"],
                "-t", mapping["topics"][0], "-X", "security.protocol=SASL_SSL", "-X", "sasl.mechanisms=SCRAM-SHA-512",
                "-X", f"sasl.username={credentials['username']}", "--password-file", password,
                "-X", "ssl.ca.location=/etc/ssl/certs/ca-certificates.crt"]

    def verify(self):
        """Works every window out again from the log, over the private path, and compares with the table.

        As somebody of the analytics account who may read the tables: past the function's role.
        """
        part, topology = self.place.status(), self.topology()
        environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": topology.region}
        relay = self.inside("consumer", sys.executable, "-c", VERIFY, part["look_port"], build_directory() / "culvert",
                            "verify", *self.client(), "--table", f"dynamodb:{self.table}", timeout=300, env=environment)
        text = relay.stdout
        self.assertRegex(text, r"different=0 missing=0 extra=0", relay.stderr[-2000:])
        return {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", text.strip().splitlines()[-1])}


# culvert verify runs where the brokers are reached, and the tables are looked at on the machine's own loopback: a relay
# joins the two for as long as it runs.
VERIFY = """
import os, socket, subprocess, sys, threading, ctypes
own = os.open("/proc/self/ns/net", os.O_RDONLY)
def pump(a, b):
    while data := a.recv(65536):
        b.sendall(data)
    b.shutdown(socket.SHUT_WR)
def serve(listening):
    machine = os.open("/proc/1/ns/net", os.O_RDONLY)
    if ctypes.CDLL(None).setns(machine, 0x40000000) != 0:
        raise OSError("setns")
    while True:
        near, _ = listening.accept()
        far = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        for pair in ((near, far), (far, near)):
            threading.Thread(target=pump, args=pair, daemon=True).start()
listening = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listening,), daemon=True).start()
endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
sys.exit(subprocess.run([*sys.argv[2:], "--endpoint-url", endpoint]).returncode)
"""
