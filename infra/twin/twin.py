#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The applied state of both accounts, made real on this machine (infra/README.md: "The twin").

    twin.py up [ROOT.NAME=JSON ..]
                            apply both roots, build what they say, show that windows appear; goes on in the background
    twin.py status          what runs where, and where the hops are
    twin.py check           try every hop of the private path; names what is broken
    twin.py query [ARG ..]  culvert query on its table
    twin.py verify [ARG ..] culvert verify: work every window out again from the log, by the private path, and compare
    twin.py doctor [ARG ..] culvert doctor where the function is
    twin.py run HOST [CMD ..]
                            run a command where HOST is: consumer, stranger, sensor-1, broker-1 ..
    twin.py apply [ROOT.NAME=JSON ..] [--patch FILE | --unpatch FILE]
                            apply again, with other inputs or other modules; the twin follows
    twin.py move BROKER     give a broker another address in its subnet, as Amazon MSK may
    twin.py impair [--delay-ms N] [--jitter-ms N] [--loss-percent N]
                            make the function's way to the endpoints bad; without options: good again
    twin.py call FUNCTION   call a function that is called by the clock now
    twin.py rights          whether this user may run one here: nothing, or what is missing
    twin.py down            end it and remove every trace, also of one that was killed

Options: --name NAME (default twin; several may run at once), --build FOLDER (default build/release).
Ends with 0, 1 failed, 64 wrong usage, 77 where it cannot run: it needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN.
"""

import argparse
import contextlib
import difflib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import deployment
import hops
import looking
import network
import overview
import tables
from applied import read as read_applied
from culvert_test.workspace import SupportError
from supervisor import seen_in, start_time
from toolchain import Missing
from topology import topology_of
from workspace import Failed

BASE = pathlib.Path(os.environ.get("CULVERT_TWIN_BASE") or "/var/lib/culvert-twin")
NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
TOOLS = {"ip": "iproute2", "nft": "nftables", "haproxy": "haproxy", "dnsmasq": "dnsmasq-base", "java":
         "default-jre-headless", "openssl": "openssl", "git": "git"}
READY_SECONDS = 600
WINDOWS_SECONDS = 120
LINES_SHOWN = 8
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21


class Skipped(Exception):
    """It cannot run here; the message says what is missing."""


def say(text):
    print(f"twin: {text}", file=sys.stderr, flush=True)


def check_rights():
    status = pathlib.Path("/proc/self/status").read_text()
    effective = int(re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.M)[1], 16)
    lacking = [name for name, bit in (("CAP_NET_ADMIN", CAP_NET_ADMIN), ("CAP_SYS_ADMIN", CAP_SYS_ADMIN))
               if not effective >> bit & 1]
    if os.geteuid() != 0 or lacking:
        raise Skipped(f"needs root with {' and '.join(lacking) or 'CAP_NET_ADMIN and CAP_SYS_ADMIN'} to make network "
                      "namespaces (in a container: --cap-add)")
    return 0


def check_able():
    check_rights()
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise Skipped(f"needs {', '.join(missing)} (scripts/install-deps twin)")


class Place:
    """A twin's folder, and the lock that says whether it lives."""

    def __init__(self, name):
        self.name, self.folder = name, BASE / name
        self.lock = None

    def take(self):
        """The lock, held by this process and by the supervisor that it starts; False if somebody has it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def program(self):
        """culvert as this twin runs it."""
        return json.loads((self.folder / "twin.json").read_text())["program"]

    def status(self):
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.folder / "status.json").read_text())
        return {}

    def alive(self):
        status = self.supervisor()
        return bool(status) and start_time(status["pid"]) == status["start"]

    def supervisor(self):
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.folder / "supervisor.json").read_text())
        return None


# ---- up ----

def up(place, options):
    check_able()
    program = options.build / "culvert"
    function = options.build / "culvert-lambda"
    admin = options.build / "kafka_admin"
    for file in (program, admin):
        if not os.access(file, os.X_OK):
            raise Skipped(f"{file} is missing (make twin builds it)")
    if not place.take():
        say(f"'{place.name}' runs already: twin.py status shows it, make twin-down ends it "
            f"(another one beside it: --name NAME, make twin TWIN=NAME)")
        return 1
    if any(place.folder.glob("[!l]*")) or network.namespaces_of(place.name):
        say("removing what a twin that was killed has left")
        remove(place)
        place.take()
    try:
        return _up(place, options, program, function if function.exists() else program, admin)
    except BaseException:
        if options.keep:
            say(f"left as it is: {place.folder}")
        else:
            down(place)
        raise


def _up(place, options, program, function, admin):
    started = time.monotonic()
    say("applying both accounts (10 seconds; minutes if provider and OpenTofu must be built first)")
    deployed = deployment.Deployed(place.folder)
    zipped, archive = deployment.packages(place.folder, program, function)
    variables = variables_of(options.assignments, deployment.REPOSITORY)
    for root in deployment.ROOTS:
        variables.setdefault(root, {})["function_package"] = str(zipped)
    variables["stream"]["program_package"] = str(archive)
    deployed.apply(variables, say)
    (place.folder / "twin.json").write_text(json.dumps(
        {"name": place.name, "program": str(program.resolve()), "admin_program": str(admin.resolve())}))
    (place.folder / "progress").touch()
    with open(place.folder / "supervisor.log", "ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-B", str(pathlib.Path(__file__).with_name("supervisor.py")), str(place.folder)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=(place.lock,))
    (place.folder / "supervisor.json").write_text(json.dumps(
        {"pid": supervisor.pid, "start": start_time(supervisor.pid)}))
    follow(place, supervisor)
    say(f"built in {time.monotonic() - started:.0f} s")
    overview.show(place)
    return 0 if options.no_wait else wait_for_windows(place)


def follow(place, supervisor):
    """Repeats what the supervisor says until it is ready."""
    deadline = time.monotonic() + READY_SECONDS
    with open(place.folder / "progress", encoding="utf-8") as progress:
        while time.monotonic() < deadline:
            line = progress.readline().rstrip("\n")
            if not line:
                if supervisor.poll() is not None:
                    break
                time.sleep(0.1)
            elif line == "ready":
                return
            else:
                say(line)
    log = (place.folder / "supervisor.log").read_text(errors="replace")[-3000:]
    raise SupportError(f"the twin was not built:\n{log}")


def wait_for_windows(place):
    """Shows that readings of one account have become windows in the other."""
    table = aggregates_table(place)
    port = place.status()["look_port"]
    say(f"waiting for windows in table {table}")
    deadline = time.monotonic() + WINDOWS_SECONDS
    while time.monotonic() < deadline:
        if (found := tables.count(port, table)) > 0:
            shown = query(place, [], capture_output=True, text=True, timeout=60)
            print("\n".join(shown.stdout.splitlines()[:LINES_SHOWN]), flush=True)
            say(f"{found} windows in {table} so far, and more to come")
            return 0
        time.sleep(0.5)
    for text in overview.problems(place):
        say(text)
    say(f"no window in {table} after {WINDOWS_SECONDS} s; it goes on, twin.py status and {place.folder}/logs say more")
    return 1


def aggregates_table(place):
    applied = read_applied(place.folder)
    return applied.outputs["analytics"]["tables"]["aggregates"]


def query_environment(place):
    region = read_applied(place.folder).region
    return {**looking.ANYBODY, "AWS_REGION": region,
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{place.status()['look_port']}"}


def query(place, arguments, **options):
    return subprocess.run([place.program(), "query", "--table", f"dynamodb:{aggregates_table(place)}", *arguments],
                          env={**os.environ, **query_environment(place)}, **options)


def verify(place, arguments, **options):
    applied = read_applied(place.folder)
    words = ["verify", *looking.client_options(place.folder, applied), *looking.table_options(applied), *arguments]
    return looking.culvert_inside(network.Fabric(place.name, None), place.program(), place.status()["look_port"],
                                  applied.region, words, looking.client_keys(place.folder, applied),
                                  **options)


def doctor(place, arguments, **options):
    applied = read_applied(place.folder)
    words = ["doctor", *looking.client_options(place.folder, applied), *looking.table_options(applied),
             *looking.doctor_options(applied), *arguments]
    return looking.culvert_inside(network.Fabric(place.name, None), place.program(), place.status()["look_port"],
                                  applied.region, words, looking.client_keys(place.folder, applied),
                                  **options)


# ---- down ----

def down(place):
    supervisor = place.supervisor()
    if supervisor and start_time(supervisor["pid"]) == supervisor["start"]:
        say(f"ending '{place.name}'")
        end(supervisor["pid"], supervisor["start"], 30)
    remove(place)
    return 0


def end(pid, started, seconds):
    """Ends a process by its pid, if it is still the one that began then."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + seconds
        while start_time(pid) == started and time.monotonic() < deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            for _ in range(20):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)   # a child of ours would stay as a zombie
                if start_time(pid) != started:
                    return
                time.sleep(0.05)


def remove(place):
    """Everything by name, whoever has made it: processes, namespaces, files."""
    for process in place.status().get("processes", []):
        if process["start"] is not None:
            end(process["pid"], process["start"], 5)
    for pid in processes_in(place.folder):
        end(pid, start_time(pid), 5)
    network.sweep(place.name)
    if place.lock is not None:
        os.close(place.lock)
        place.lock = None
    shutil.rmtree(place.folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        BASE.rmdir()   # with the last twin


def processes_in(folder):
    """Processes that work in a folder: an apply that was cut off, say."""
    for path in pathlib.Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if pathlib.Path(os.readlink(path)).is_relative_to(folder) and int(path.parent.name) != os.getpid():
                yield int(path.parent.name)


# ---- while it runs ----

def inputs_of(root, folder):
    text = (folder / "infra" / "accounts" / root / "variables.tf").read_text()
    return re.findall(r'^variable "(\w+)"', text, re.M)


def variables_of(assignments, folder):
    """folder: the twin's own, whose copy of infra/ may have been edited, or the source tree."""
    variables = {}
    for text in assignments or ():
        found = re.fullmatch(r"(stream|analytics)\.(\w+)=(.*)", text, re.S)
        if not found:
            raise SystemExit(f"twin: {text}: not of the form stream.NAME=JSON or analytics.NAME=JSON")
        if found[2] not in (known := inputs_of(found[1], folder)):
            near = difflib.get_close_matches(found[2], known, 1)
            raise SystemExit(f"twin: the {found[1]} root has no input {found[2]}"
                             + (f" (it has {near[0]})" if near else ""))
        try:
            value = json.loads(found[3])
        except ValueError:
            value = found[3]   # text needs no quotes
        variables.setdefault(found[1], {})[found[2]] = value
    return variables


def apply(place, options):
    deployed = deployment.Deployed(place.folder)
    if options.patch:
        deployed.patch(options.patch)
    if options.unpatch:
        deployed.patch(options.unpatch, reverse=True)
    deployed.apply(variables_of(options.assignments, place.folder), say)
    return wait_until_followed(place)


def wait_until_followed(place, seconds=300):
    """Until the supervisor has seen the last change and made it real."""
    wanted = seen_in(place.folder)
    deadline = time.monotonic() + seconds
    while place.status().get("seen") != wanted:
        if not place.alive():
            raise SupportError("the twin has ended")
        if time.monotonic() > deadline:
            raise SupportError(f"the twin has not followed within {seconds} s")
        time.sleep(0.1)
    return 0


def move(place, number):
    """Another free address in the broker's subnet; what follows it, and how soon, is for others to show."""
    applied = read_applied(place.folder)
    topology = topology_of(applied)
    if number not in topology.brokers:
        raise SystemExit(f"twin: no broker {number}; there are {', '.join(topology.brokers)}")
    address = topology.free_address(topology.brokers[number].subnet)

    def edit(records, _account):
        for record in records.values():
            if record["type"] == "aws_msk_cluster":
                for broker in record["hidden"]["brokers"]:
                    if str(int(broker["broker_id"])) == number:
                        broker["address"] = address
                        return True
        return False
    applied.cloud.change(edit)
    say(f"broker {number} is at {address} from now on")
    return 0


def check(place):
    applied = read_applied(place.folder)
    fabric = network.Fabric(place.name, None)
    findings = [str(f) for f in hops.check(fabric, applied, topology_of(applied))]
    # What is not built because the state says so has been found already.
    findings += [f"twin: {text}" for text in overview.problems(place)
                 if not any(text.partition(": ")[2] in known for known in findings)]
    for text in findings:
        print(f"broken  {text}")
    if not findings:
        print("every hop works")
    return 1 if findings else 0


def impair(place, options):
    asked = {name: getattr(options, name) for name in ("delay_ms", "jitter_ms", "loss_percent")}
    file = place.folder / "impair.json"
    if any(asked.values()):
        file.write_text(json.dumps(asked))
    else:
        file.unlink(missing_ok=True)
    return wait_until_followed(place)


def call(place, function):
    """The supervisor calls it within a second; its answer is in the status."""
    known = [s["function"] for s in place.status().get("schedules", [])]
    if function not in known:
        raise SystemExit(f"twin: no schedule calls {function}; there are {', '.join(known) or 'none'}")
    (place.folder / "run" / f"call-{function}").touch()
    return 0


def run(place, host, command):
    topology = topology_of(read_applied(place.folder))
    for part in topology.networks.values():
        if any(h.name == host for h in part.hosts):
            inside = network.Fabric(place.name, None).inside(part.name, host)
            os.execvp(inside[0], [*inside, *command])
    names = ", ".join(h.name for part in topology.networks.values() for h in part.hosts)
    raise SystemExit(f"twin: no host {host}; there are {names}")


def own_arguments(arguments):
    """How many of them are ours: what follows `query`, `verify`, `doctor` and `run HOST` is another program's."""
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        at += 2 if arguments[at] in ("--name", "--build") else 1
    command = arguments[at] if at < len(arguments) else None
    return at + {"query": 1, "verify": 1, "doctor": 1, "run": 2}.get(command, len(arguments))


def arguments_of(arguments):
    parser = argparse.ArgumentParser(prog="twin.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS)
    parser.add_argument("--name", default="twin")
    parser.add_argument("--build", type=pathlib.Path, default=deployment.REPOSITORY / "build" / "release")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up")
    start.add_argument("assignments", nargs="*", metavar="ROOT.NAME=JSON")
    start.add_argument("--keep", action="store_true", help="leave a twin that could not be built for looking at")
    start.add_argument("--no-wait", action="store_true", help="do not wait for windows")
    for name in ("rights", "status", "check", "down"):
        commands.add_parser(name)
    for name in ("query", "verify", "doctor"):
        commands.add_parser(name)
    again = commands.add_parser("apply")
    again.add_argument("assignments", nargs="*", metavar="ROOT.NAME=JSON")
    again.add_argument("--patch", type=pathlib.Path)
    again.add_argument("--unpatch", type=pathlib.Path)
    commands.add_parser("move").add_argument("broker")
    worse = commands.add_parser("impair")
    for name in ("--delay-ms", "--jitter-ms", "--loss-percent"):
        worse.add_argument(name, type=float, default=0.0)
    commands.add_parser("call").add_argument("function")
    commands.add_parser("run").add_argument("host")
    own = own_arguments(arguments)
    options = parser.parse_args(arguments[:own])
    options.rest = arguments[own:]
    if not NAME.fullmatch(options.name):
        parser.error("--name must be 1 to 12 of a-z and 0-9, beginning with a letter")
    return options


def main(arguments):
    options = arguments_of(arguments)
    place = Place(options.name)
    if options.command == "up":
        return up(place, options)
    if options.command == "rights":
        return check_rights()
    if options.command == "down":
        check_able()
        return down(place)
    if not place.folder.exists():
        say(f"no twin '{place.name}' here (make twin starts one)")
        return 1
    if not os.access(place.folder, os.R_OK | os.X_OK):
        raise Skipped(f"{place.folder} is another user's: only root looks into a twin")
    commands = {"status": lambda: overview.show(place), "check": lambda: check(place),
                "query": lambda: query(place, options.rest).returncode,
                "verify": lambda: verify(place, options.rest).returncode,
                "doctor": lambda: doctor(place, options.rest).returncode,
                "apply": lambda: apply(place, options), "move": lambda: move(place, options.broker),
                "impair": lambda: impair(place, options), "call": lambda: call(place, options.function),
                "run": lambda: run(place, options.host, options.rest or ["bash"])}
    return commands[options.command]() or 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        sys.exit(main(sys.argv[1:]))
    except (Skipped, Missing) as problem:
        print(f"twin: skipped: {problem}", file=sys.stderr)
        sys.exit(77)
    except (Failed, SupportError, network.CommandFailed) as problem:
        say(str(problem))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
