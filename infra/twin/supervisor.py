#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds a twin, keeps it running, and follows every change of what is applied until it is told to end.

    supervisor.py FOLDER      (started by twin.py up)

Flow    states/, cloud/ -> Topology, Wanted -> namespaces and processes -> status.json, progress.
Owner   one per twin; all its processes are children and die with it, whatever ends it.
Time    looks for changes and dead processes every LOOK_SECONDS.
Bounds  whatever it makes is named culvert-TWIN-* or lies in the twin's folder: twin.py down removes it without this.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time
import traceback
import zipfile

import deployment   # noqa: F401  (puts the folders of the test support on the path)

import applied as applied_state
import network
import tables
from brokers import Brokers, make_authority
from culvert_test import ports
from culvert_test.process import Process, wait_until
from culvert_test.workspace import SupportError
from identity import identities_of
from programs import Wanted
from schedules import Schedules
from topology import SERVICES, topology_of

LOOK_SECONDS = 0.5
AGAIN_SECONDS = 10
SETTLED_SECONDS = 10
READY_SECONDS = 240


# What may be wrong with a machine or a state; anything else is a mistake in here.
PROBLEMS = (SupportError, network.CommandFailed, tables.TableError, subprocess.SubprocessError, OSError, LookupError,
            TypeError, ValueError)


def start_time(pid):
    """When a process began, in ticks since boot: with the pid it names a process for ever; None if it is gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def seen_in(folder):
    """Changes when something has been applied, or been changed by a program or by hand."""
    files = [*sorted((folder / "states").glob("*.json")), folder / "impair.json"]
    return repr((applied_state.Cloud(folder / "cloud").version(),
                 [(p.name, p.stat().st_mtime_ns) for p in files if p.exists()]))


class Running:
    """One Program and its process."""

    def __init__(self, twin, program):
        self.twin, self.program, self.process = twin, program, None
        self.started, self.not_before = 0.0, 0.0
        self.trouble = None   # how it ended, until it has run for a while

    def start(self):
        for path, text in self.program.files:
            pathlib.Path(path).touch(mode=0o600)
            pathlib.Path(path).write_text(text)
        folder = self.twin.folder / "logs"
        environment = {"AWS_EC2_METADATA_DISABLED": "true", **dict(self.program.environment)}
        self.process = Process(self.program.command, name=self.program.name, directory=folder, env=environment,
                               cwd=self.twin.folder)
        self.started = time.monotonic()

    def look(self):
        """Starts it again when it has ended, not before its time; says so once for each way of ending."""
        if self.process.alive:
            if self.trouble and time.monotonic() - self.started > SETTLED_SECONDS:
                self.trouble = None
                return True
            return False
        if self.not_before < self.started:
            self.not_before = time.monotonic() + self.program.restart_seconds
            trouble = f"{self.program.name} ends with {self.process.returncode}: {self._last_words()}"
            if trouble != self.trouble:
                self.twin.note(f"{trouble} (started again after {self.program.restart_seconds:g} s)")
            self.trouble = trouble
        if time.monotonic() < self.not_before:
            return False
        self.start()
        return True

    def _last_words(self):
        """The message of the last line that it wrote to stderr."""
        line = (self.process.stderr().strip().splitlines() or ["nothing said"])[-1]
        with contextlib.suppress(ValueError, AttributeError):
            line = json.loads(line).get("message", line)
        return line[-300:]


def restart_key(program):
    reloaded = {path for path, _ in program.reload}
    return (program.command, program.environment, program.watched,
            tuple(f for f in program.files if f[0] not in reloaded))


class Twin:
    def __init__(self, folder):
        self.folder, self.source = folder, pathlib.Path(__file__).resolve().parent
        self.settings = json.loads((folder / "twin.json").read_text())
        self.name = self.settings["name"]
        self.program, self.sensor_program = pathlib.Path(self.settings["program"]), folder / "sensor"
        for part in ("run", "logs"):
            (folder / part).mkdir(exist_ok=True, mode=0o700)
        self.authority = make_authority(folder)
        self.fabric = network.Fabric(self.name, self.authority.certificate)
        self.tables = tables.Tables()
        self.brokers = Brokers(folder, self.fabric, self.settings["admin_program"], self.authority)
        self.schedules = Schedules(self)
        self.running, self.keys, self.built, self.problems = {}, {}, None, []
        self.look_port = ports.free_port()   # held from here on: nobody takes it before the services listen
        self._seen, self._allowed, self._topics = None, None, None
        self._again_at = None   # when to try to follow once more what could not be followed

    # ---- what is said ----

    def note(self, text):
        with open(self.folder / "progress", "a", encoding="utf-8") as progress:
            progress.write(text + "\n")

    def keep_status(self, phase):
        processes = {r.program.name: r.process for r in self.running.values() if r.process}
        processes.update({f"broker-{n}": p for n, p in self.brokers.processes.items()})
        status = {
            "phase": phase, "look_port": self.look_port,
            "problems": self.problems + [r.trouble for r in self.running.values() if r.trouble],
            "seen": self._seen,
            "kafka": getattr(self.brokers, "version", None), "schedules": self.schedules.status(),
            "processes": [{"name": name, "pid": p.pid, "start": start_time(p.pid)} for name, p in processes.items()
                          if p.alive],
        }
        scratch = self.folder / "status.json.new"
        scratch.write_text(json.dumps(status, indent=1))
        os.replace(scratch, self.folder / "status.json")

    def states_version(self):
        digest = hashlib.sha256()
        for path in sorted((self.folder / "states").glob("*.json")):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    # ---- building ----

    def build(self):
        """From nothing to everything; each step says what it does."""
        applied, topology = self._read()
        self.note(f"making {len(topology.networks)} networks")
        self.fabric.build_services()
        for number, part in enumerate(topology.networks.values()):
            self.fabric.build_network(part, number)
            for host in part.hosts:
                self.fabric.build_host(part, host)
        self.built = topology
        self._make_packages(applied)
        self.brokers.prepare(applied, topology, self.identities)
        self.authority.issue("services", "serverAuth", [f"DNS:{s}.{topology.region}.amazonaws.com" for s in SERVICES])
        wanted = Wanted(self, applied, topology, self.identities)
        self._ensure([*wanted.name_servers(), *wanted.links()])
        self.note(f"starting {len(topology.brokers)} brokers (Kafka {self.brokers.version}; about 20 seconds)")
        self.brokers.start(topology)
        self._ensure([*wanted.name_servers(), *wanted.links(), wanted.table_store(), wanted.services()])
        self.keep_status("starting")
        self._make_tables(applied)
        self.brokers.wait_ready(len(topology.brokers))
        self._administer(applied)
        self.note("starting the sensors and the function's mapping")
        self.converge()

    def _read(self):
        applied = applied_state.read(self.folder)
        self.identities = identities_of(applied, self.keys)
        return applied, topology_of(applied)

    def _make_packages(self, applied):
        """Unpacks what the sensors' first start fetches, and what the functions are."""
        for item in applied.of_type("aws_s3_object"):
            with tarfile.open(item["source"]) as archive:
                archive.extractall(self.sensor_program, filter="data")
        for function in applied.of_type("aws_lambda_function"):
            target = self.folder / "functions" / function["function_name"]
            if not target.exists():
                with zipfile.ZipFile(function["filename"]) as archive:
                    archive.extractall(target)
                (target / function["handler"]).chmod(0o755)

    def _make_tables(self, applied):
        """What leads to them may just have been started."""
        wait_until(lambda: tables.call(self.look_port, "ListTables", {}), READY_SECONDS, "DynamoDB Local answers")
        tables.make(self.look_port, applied)

    def _administer(self, applied):
        topics = [(t["name"], t["partition_count"]) for t in applied.of_type("aws_msk_topic")]
        if topics != self._topics:
            self.brokers.make_topics(applied)
            self._topics = topics
        rules = (json.dumps(applied.outputs["stream"].get("consumer_acls")),
                 tuple(i.statements for i in self.identities if i.role in self.brokers.iam_users))
        if rules != self._allowed:
            self.brokers.allow(applied, self.identities)
            self._allowed = rules

    # ---- following ----

    def converge(self):
        """Makes what runs what is applied now."""
        seen = seen_in(self.folder)   # before it is read: what changes meanwhile is seen the next time
        applied, topology = self._read()
        self._change_hosts(topology)
        # New brokers' certificates before whatever listens with them.
        self.brokers.prepare(applied, topology, self.identities)
        wanted = Wanted(self, applied, topology, self.identities)
        programs = [*wanted.name_servers(), *wanted.links(), wanted.table_store(), wanted.services()]
        self._ensure(programs)
        moved = self.brokers.moved(topology)
        for broker in moved:
            self.note(f"broker {broker.id} moves to {broker.address}")
        self.brokers.start(topology)
        if len(topology.brokers) != len(self.built.brokers):
            self.brokers.wait_ready(len(topology.brokers))
        self._make_tables(applied)
        self._administer(applied)
        programs += [*wanted.consumers(), *wanted.impairment(), *wanted.sensors()]
        self._ensure(programs, end_others=True)
        self.built = topology
        self.problems = wanted.problems
        self.schedules.applied(applied, self.identities)
        self._seen = seen

    def _follow(self):
        """converge(), but a state that cannot be followed is a problem of that state: the next one may be better, and
        what stood in the way of this one may be gone after a while."""
        seen = seen_in(self.folder)
        self._again_at = None
        try:
            self.converge()
        except PROBLEMS as problem:
            traceback.print_exc()
            text = f"cannot follow what is applied: {problem}"
            if text not in self.problems:
                self.note(text)
            self._again_at = time.monotonic() + AGAIN_SECONDS
            self.problems, self._seen = [text], seen

    def _change_hosts(self, topology):
        """Starts from what is there, not from what was wanted before: that may have been cut off half-way."""
        for part in topology.networks.values():
            before = self.fabric.hosts_of(part.name)
            for host in part.hosts:
                if host.name not in before:
                    self.fabric.build_host(part, host)
                else:
                    self.fabric.address_host(part, host)
            for name in before - {h.name for h in part.hosts}:
                self.fabric.remove_host(part.name, name)
            if part != self.built.networks[part.name]:
                self.fabric.filter(part)

    def _ensure(self, programs, end_others=False):
        for program in programs:
            present = self.running.get(program.name)
            if present is not None and restart_key(present.program) == restart_key(program):
                if present.program.reload != program.reload and present.process.alive:
                    present.program = program
                    for path, text in program.files:
                        pathlib.Path(path).write_text(text)
                    present.process.signal(signal.SIGHUP)
                continue
            if present is not None:
                present.process.stop(20)
            self.running[program.name] = running = Running(self, program)
            running.start()
        if end_others:
            for name in self.running.keys() - {p.name for p in programs}:
                self.running.pop(name).process.stop(20)

    def run(self):
        self.keep_status("starting")
        self.build()
        self.note("ready")
        self.keep_status("ready")
        while True:
            time.sleep(LOOK_SECONDS)
            changed = any([running.look() for running in list(self.running.values())])
            if self._seen != seen_in(self.folder) or (self._again_at and time.monotonic() > self._again_at):
                self._follow()
                changed = True
            for number, process in self.brokers.processes.items():
                if not process.alive and not (self.folder / "run" / f"broker-{number}.down").exists():
                    self.note(f"broker {number} ended; starting it again")
                    self.brokers.start(self.built)
                    changed = True
            changed |= self.schedules.look()
            if changed:
                self.keep_status("ready")

    def end(self):
        """Programs before what they need."""
        order = sorted(self.running.values(), key=lambda r: (not r.program.name.startswith(("consumer", "sensor")),
                                                             r.program.name.startswith(("names", "link"))))
        for running in order:
            running.process.stop(10)
        self.schedules.stop()
        for process in self.brokers.processes.values():
            process.kill()


def main(folder):
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)   # Ctrl-C is for whoever watches
    twin = Twin(folder)
    try:
        twin.run()
    except PROBLEMS as problem:
        traceback.print_exc()
        twin.note(f"failed: {problem}")
        return 1
    finally:
        twin.end()


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
