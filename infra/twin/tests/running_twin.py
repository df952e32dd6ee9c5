# SPDX-License-Identifier: Apache-2.0
"""A twin for a test: started once, used by its commands as a person would, gone at the end whatever happens."""

import os
import re
import subprocess
import sys
import unittest

import twin_case
import deployment
import hops
import looking
import network
import tables
import twin
from applied import read as read_applied
from culvert_test.process import wait_until
from culvert_test.workspace import SupportError, build_directory
from topology import topology_of

UP_SECONDS = 800


class RunningTwin(unittest.TestCase):
    """`inputs`: assignments for up, as a person gives them.

    CULVERT_TWIN_USE=NAME takes one that runs already, and leaves it: for whoever writes a test.
    """

    inputs = ()
    suffix = ""   # of the name, where a test has several

    @classmethod
    def setUpClass(cls):
        cls.name = os.environ.get("CULVERT_TWIN_USE") or f"t{os.getpid()}{cls.suffix}"
        cls.place = twin.Place(cls.name)
        if os.environ.get("CULVERT_TWIN_USE"):
            return
        cls.addClassCleanup(cls.command, "down", timeout=300, expect=None)
        cls.command("up", "--no-wait", *cls.inputs, timeout=UP_SECONDS)

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

    def wait_green(self, seconds=60):
        """Until every hop works; else says which does not."""
        try:
            wait_until(lambda: not self.findings(), seconds, "every hop works", interval=0.5)
        except SupportError:
            self.assertEqual(self.findings(), [])

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
        """Options that make culvert come to the cluster as the mapping does."""
        return looking.client_options(self.place.folder, self.applied())

    def verify(self):
        """Works every window out again from the log, over the private path, and compares with the table."""
        done = twin.verify(self.place, [], capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        self.assertRegex(done.stdout, r"different=0 missing=0 extra=0")
        return {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", done.stdout.strip().splitlines()[-1])}
