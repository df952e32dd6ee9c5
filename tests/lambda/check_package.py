# SPDX-License-Identifier: Apache-2.0
"""Checks a package of the function: check_package.py ZIP|PROGRAM ARCHITECTURE

A program is packed first, without its symbols.

The program runs in an empty root, with nothing but itself, a CA file and resolv.conf, under a Runtime API and a table
behind TLS, both here: it must find the table's name by DNS, verify the certificate, sign its calls and answer a batch.
What is not for this processor runs under qemu-user.  Needs root for the empty root and for the name server's port.
"""

import argparse
import http.server
import json
import os
import pathlib
import platform
import shutil
import socket
import ssl
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from culvert_test.certificates import Authority  # noqa: E402 (the path is needed first)
from culvert_test.function import RuntimeApi, kafka_event, kafka_record  # noqa: E402
from culvert_test.process import Process  # noqa: E402

ZIP_BYTES_MAX = 5 << 20
TABLE_HOST = "table.culvert.test"
TABLE_NAME = b"".join(bytes([len(part)]) + part.encode() for part in TABLE_HOST.split(".")) + b"\0"  # as DNS has it
MACHINES = {"x86_64": 62, "arm64": 183}  # e_machine
SECONDS = 120  # for a loaded machine and an emulated processor


def program_of(path, architecture):
    """The package's only file, after a look at its form."""
    if path.stat().st_size > ZIP_BYTES_MAX:
        raise SystemExit(f"{path}: {path.stat().st_size} bytes, at most {ZIP_BYTES_MAX}")
    with zipfile.ZipFile(path) as package:
        if package.namelist() != ["bootstrap"]:
            raise SystemExit(f"{path}: holds {package.namelist()}, expected bootstrap alone at its root")
        if not (package.getinfo("bootstrap").external_attr >> 16) & stat.S_IXOTH:
            raise SystemExit(f"{path}: bootstrap cannot be executed by everybody")
        program = package.read("bootstrap")
    (machine,) = struct.unpack_from("<H", program, 18)
    if program[:4] != b"\x7fELF" or machine != MACHINES[architecture]:
        raise SystemExit(f"{path}: not a program for {architecture}")
    segments, size, count = struct.unpack_from("<Q", program, 32) + struct.unpack_from("<HH", program, 54)
    kinds = [struct.unpack_from("<I", program, segments + size * i)[0] for i in range(count)]
    if 3 in kinds:  # PT_INTERP
        raise SystemExit(f"{path}: needs a dynamic linker")
    return program


class NameServer:
    """Answers every A question for one host with 127.0.0.1, on port 53 of a loopback address of its own."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        pid = os.getpid()
        self.address = f"127.{1 + pid % 250}.{1 + pid // 250 % 250}.53"
        self._socket.bind((self.address, 53))
        self.questions = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            query, peer = self._socket.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            name, kind = query[12:end - 4], struct.unpack("!H", query[end - 4:end - 2])[0]
            known = name.lower() == TABLE_NAME
            answers = int(known and kind == 1)
            self.questions += answers
            reply = query[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, answers, 0, 0) + query[12:end]
            if answers:
                reply += struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton("127.0.0.1")
            self._socket.sendto(reply, peer)


class Table(http.server.BaseHTTPRequestHandler):
    """As much of DynamoDB as one batch needs: nothing is stored yet, and every put succeeds."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Quiet: calls are counted."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"):
            self.server.calls.append(self.headers["X-Amz-Target"].rpartition(".")[2])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


def start_table(certificate, key):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Table)
    server.daemon_threads = True
    server.calls = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def emulator(architecture):
    """How a program of this architecture is started here; None: directly."""
    here = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine())
    if here == architecture:
        return None
    name = {"arm64": "qemu-aarch64-static", "x86_64": "qemu-x86_64-static"}[architecture]
    path = shutil.which(name)
    if path is None:
        raise SystemExit(f"{name} is missing (scripts/install-deps lambda installs it)")
    return path


def run_in_empty_root(program, architecture, root):
    authority = Authority(root.parent, "authority")
    server_certificate, server_key, _ = authority.issue("table", "serverAuth", [f"DNS:{TABLE_HOST}"])
    names = NameServer()
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "resolv.conf").write_text(f"nameserver {names.address}\n", encoding="ascii")
    shutil.copy(authority.certificate, root / "ca.pem")
    (root / "bootstrap").write_bytes(program)
    (root / "bootstrap").chmod(0o755)
    command = ["/bootstrap"]
    if emulator(architecture):
        shutil.copy(emulator(architecture), root / "emulator")
        command = ["/emulator", *command]

    table = start_table(server_certificate, server_key)
    api = RuntimeApi().start()
    variables = {
        "AWS_LAMBDA_RUNTIME_API": api.address, "AWS_LAMBDA_LOG_LEVEL": "DEBUG", "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_CA_BUNDLE": "/ca.pem",
        "AWS_ENDPOINT_URL_DYNAMODB": f"https://{TABLE_HOST}:{table.server_address[1]}",
        "CULVERT_TABLE": "dynamodb:check"}
    settings = [f"{name}={value}" for name, value in variables.items()]
    started = Process(["env", "-i", *settings, "/usr/sbin/chroot", root, *command], name="bootstrap")
    try:
        reading = b'{"device_id":1,"timestamp":"2023-05-01T12:00:00","temperature":21}'
        invocation = api.invoke(kafka_event([kafka_record("readings", 0, 0, reading)]), seconds=SECONDS)
        if not invocation.delivered.wait(SECONDS):
            raise SystemExit(f"no invocation was asked for:\n{started.tail()}")
        outcome = invocation.outcome(SECONDS)
        if outcome != ("response", {"batchItemFailures": []}):
            raise SystemExit(f"the batch was answered with {outcome}\n{started.tail()}")
        if names.questions < 1 or "PutItem" not in table.calls:
            raise SystemExit(f"answered without the table: {names.questions} names asked, calls {table.calls}")
        files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        return f"ran with {', '.join(files)}; table calls: {', '.join(table.calls)}"
    finally:
        started.kill()
        api.stop()
        table.shutdown()


def packed(program, folder):
    """A package of the program, as scripts/build-lambda makes it."""
    stripped, package = folder / "bootstrap", folder / "package.zip"
    subprocess.run(["strip", "-o", stripped, program], check=True, timeout=60)
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(stripped, "bootstrap")
    return package


def main():
    parser = argparse.ArgumentParser(description="Checks a package of the function.")
    parser.add_argument("package", type=pathlib.Path)
    parser.add_argument("architecture", choices=sorted(MACHINES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="culvert-package-") as folder:
        zipped = zipfile.is_zipfile(arguments.package)
        package = arguments.package if zipped else packed(arguments.package, pathlib.Path(folder))
        program = program_of(package, arguments.architecture)
        if os.getuid() != 0:
            print(f"{arguments.package}: form checked; not run, as an empty root needs root", file=sys.stderr)
            return
        result = run_in_empty_root(program, arguments.architecture, pathlib.Path(folder) / "root")
    print(f"{arguments.package}: {result}")


if __name__ == "__main__":
    main()
