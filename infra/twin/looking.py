# SPDX-License-Identifier: Apache-2.0
"""culvert's own commands on a running twin, where the function is: verify, doctor, tail.

Flow    twin.py, tests -> [culvert_inside] -> a command in the consumer's namespace ═> brokers by the private path,
        tables by a relay to what the machine itself sees of them.
Owner   the caller; the relay lives for as long as the command.
Bounds  as somebody of the analytics account who may look at the tables, past the function's role: the role lets nobody
        describe or scan them.
"""

import contextlib
import json
import os
import socket
import subprocess
import threading

import namespaces
from programs import group_of, servers_of
from topology import managed_connection

CHUNK_BYTES = 1 << 16
ANYBODY = {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "anybody"}
# Options that must be the function's, by its variables.
SHARED = ("WINDOW", "ADVANCE", "OUT_OF_ORDERNESS", "ALLOWED_LATENESS", "GENERATION")
TABLES = ("CHECKPOINT_TABLE", "DEAD_LETTER_TABLE")


@contextlib.contextmanager
def table_endpoint(namespace, look_port):
    """A URL inside the namespace that leads to the twin's DynamoDB Local."""
    listening = namespaces.listener(namespace, "127.0.0.1", 0)
    threading.Thread(target=_relay, args=(listening, look_port), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)   # wakes the thread that accepts
        listening.close()


def _relay(listening, look_port):
    while True:
        try:
            near, _ = listening.accept()
        except OSError:
            return   # the end
        threading.Thread(target=_join, args=(near, look_port), daemon=True).start()


def _join(near, look_port):
    """Until both directions have ended."""
    with near, socket.create_connection(("127.0.0.1", look_port)) as far:
        back = threading.Thread(target=_pump, args=(far, near), daemon=True)
        back.start()
        _pump(near, far)
        back.join()


def _pump(source, target):
    with contextlib.suppress(OSError):   # either side may have closed both directions
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def client_options(folder, applied):
    """How the consumer's programs reach and enter the cluster, by the files that stand for its secrets."""
    mapping = applied.of_type("aws_lambda_event_source_mapping")[0]
    words = ["--connection", str(folder / "run" / "connection.json"), "-t", mapping["topics"][0]]
    if managed_connection(applied, mapping) is None:
        words += ["--credentials", str(folder / "run" / "credentials.json")]
    return words


def client_keys(folder, applied):
    """As whom they call: where IAM decides over the cluster, as the function's role."""
    mapping = applied.of_type("aws_lambda_event_source_mapping")[0]
    if managed_connection(applied, mapping) is None:
        return ANYBODY
    role = applied.one("aws_lambda_function", arn=mapping["function_arn"])["role"]
    known = json.loads((folder / "services.json").read_text())["identities"]
    identity = next(i for i in known if i["role"] == role)
    return {"AWS_ACCESS_KEY_ID": identity["access_key"], "AWS_SECRET_ACCESS_KEY": identity["secret_key"]}


def table_options(applied):
    mapping = applied.of_type("aws_lambda_event_source_mapping")[0]
    function = applied.one("aws_lambda_function", arn=mapping["function_arn"])
    variables = function.block("environment")["variables"]
    words = ["--table", variables["CULVERT_TABLE"]]
    return words + _options(variables, TABLES)


def doctor_options(applied):
    """Everything that consume would be told; doctor then looks at each hop of it."""
    mapping = applied.of_type("aws_lambda_event_source_mapping")[0]
    function = applied.one("aws_lambda_function", arn=mapping["function_arn"])
    group = group_of(mapping)
    listener = applied.of_type("aws_lb_listener")
    words = ["--from-analytics", "-b", servers_of(applied, mapping), *(["-G", group] if group else [])]
    if listener:
        words += ["--idle-timeout", f"{int(listener[0]['tcp_idle_timeout_seconds'])}s"]
    return words + _options(function.block("environment")["variables"], SHARED)


def _options(variables, names):
    return [word for name in names if f"CULVERT_{name}" in variables
            for word in (f"--{name.lower().replace('_', '-')}", variables[f"CULVERT_{name}"])]


def culvert_inside(fabric, program, look_port, region, words, keys, **options):
    """Runs one command of culvert where the function is; returns what subprocess.run returns."""
    with table_endpoint(fabric.namespace("analytics", "consumer"), look_port) as endpoint:
        command = [*fabric.inside("analytics", "consumer"), str(program), *map(str, words)]
        environment = {**os.environ, **keys, "AWS_REGION": region, "AWS_ENDPOINT_URL_DYNAMODB": endpoint}
        return subprocess.run(command, env=environment, **options)
