# SPDX-License-Identifier: Apache-2.0
"""Servers that misbehave in one way each: TCP, TLS and DNS, on loopback and a free port."""
import contextlib
import http.client
import http.server
import json
import socket
import socketserver
import ssl
import struct
import threading
import time


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class TcpServer:
    """Calls `serve(connection)` for each connection, on a thread of its own; the connection is closed afterwards."""

    def __init__(self, serve):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError, ssl.SSLError):
                    serve(self.request)

        self._server = _Tcp(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def close_at_once(_connection):
    """What a load balancer without a healthy target does: accept, then close."""


def reset_at_once(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def say_nothing(connection):
    while connection.recv(4096):
        pass


def answer_http(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def forward_to(port):
    """A load balancer: what comes in goes to 127.0.0.1:port, and back."""
    def serve(connection):
        with socket.create_connection(("127.0.0.1", port)) as target:
            threading.Thread(target=_pump, args=(target, connection), daemon=True).start()
            _pump(connection, target)

    return serve


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def tls_with(certificate, key, then=say_nothing):
    """A TLS server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as wrapped:
            then(wrapped)

    return serve


class DnsServer:
    """A name server over UDP.  `zones`: name -> list of addresses; `wildcards`: suffix -> addresses; a name that is in
    neither does not exist, says `denying_zone` with authority."""

    def __init__(self, names=None, wildcards=None, denying_zone=""):
        self._names = names or {}
        self._wildcards = wildcards or {}
        self._zone = denying_zone
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._socket.sendto(b"stop", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _run(self):
        while True:
            query, client = self._socket.recvfrom(512)
            if query == b"stop":
                return
            self._socket.sendto(self._answer(query), client)

    def _addresses(self, name):
        if name in self._names:
            return self._names[name]
        return next((found for suffix, found in self._wildcards.items() if name.endswith(suffix)), None)

    def _answer(self, query):
        end = query.index(b"\0", 12) + 5
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = struct.unpack(">H", query[end - 4:end - 2])[0]
        found = self._addresses(".".join(labels).lower())
        answers = [socket.inet_aton(a) for a in found or []] if kind == 1 else []
        soa = b""
        if not answers and self._zone:
            soa = _wire_name(self._zone) + struct.pack(">HHIH", 6, 1, 60, 22) + b"\0\0" + struct.pack(">5I", *range(5))
        flags = 0x8580 | (3 if found is None else 0)  # a response, with authority
        head = query[:2] + struct.pack(">HHHHH", flags, 1, len(answers), 1 if soa else 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + a for a in answers)
        return head + query[12:end] + body + soa


def _wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


class AwsServer:
    """Secrets Manager, Lambda and DynamoDB on one port.  `answers`: the last part of X-Amz-Target, or a path's start ->
    (status, body); every other POST goes to `behind` (a DynamoDB).  `shift_s` moves the clock of its Date header."""

    def __init__(self, answers=None, behind=None, shift_s=0):
        answers = answers or {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def date_time_string(self, timestamp=None):
                return super().date_time_string(time.time() + shift_s)

            def _of_path(self):
                return next((a for name, a in answers.items() if self.path.startswith(name)), None)

            def do_GET(self):
                self._answer(self._of_path() or (404, {}))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                if known := answers.get(operation) or self._of_path():
                    self._answer(known)
                    return
                connection = http.client.HTTPConnection("127.0.0.1", behind, timeout=10)
                with contextlib.closing(connection):
                    kept = ("X-Amz-Target", "Content-Type", "X-Amz-Date", "Authorization")
                    connection.request("POST", "/", body, {name: self.headers[name] for name in kept})
                    response = connection.getresponse()
                    self._answer((response.status, json.loads(response.read() or b"{}")))

            def _answer(self, answer):
                status, body = answer
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
