# SPDX-License-Identifier: Apache-2.0
"""culvert-lambda under a Lambda Runtime API of the test's own: invocations in, answers out.

The program sees what Lambda shows it: its environment and nothing of the test's, a long poll for the next invocation, a
deadline with each.  What became of an invocation is what the program posted, or nothing if it died meanwhile.
"""

import base64
import collections
import http.server
import json
import queue
import select
import socket
import sys
import threading
import time

from .process import Process
from .runner import culvert_program
from .workspace import workspace

BASE = "/2018-06-01/runtime/"


def function_program():
    """The function that belongs to the culvert program under test."""
    return culvert_program().with_name("culvert-lambda")


def kafka_record(topic, partition, offset, value, key=None, timestamp=1_682_942_400_000, headers=()):
    """One record as the event source mapping writes it; value and key are bytes or None."""
    record = {"topic": topic, "partition": partition, "offset": offset, "timestamp": timestamp,
              "timestampType": "CREATE_TIME",
              "headers": [{name: [byte - 256 if byte > 127 else byte for byte in text]} for name, text in headers]}
    for name, content in (("key", key), ("value", value)):
        record[name] = None if content is None else base64.b64encode(content).decode("ascii")
    return record


def kafka_event(records, managed=False):
    """The event that holds these records, each under its partition's key."""
    event = {"eventSource": "SelfManagedKafka", "bootstrapServers": "b-1.example:9094,b-2.example:9094"}
    if managed:
        event["eventSource"] = "aws:kafka"
        event["eventSourceArn"] = "arn:aws:kafka:eu-central-1:111111111111:cluster/example/0"
    event["records"] = {}
    for record in records:
        event["records"].setdefault(f"{record['topic']}-{record['partition']}", []).append(record)
    return event


class Invocation:
    def __init__(self, number, payload, seconds):
        self.id = f"00000000-0000-4000-8000-{number:012d}"
        self.payload = payload
        self.seconds = seconds
        self.delivered = threading.Event()
        self.delivered_at = None  # by time.monotonic(); its deadline is that and `seconds`
        self.answered_at = None   # the same, of the latest answer
        self._answers = queue.Queue()

    def answer(self, kind, body, headers):
        self.answered_at = time.monotonic()
        self._answers.put((kind, body, headers))

    def outcome(self, timeout=120):
        """(kind, body): kind is `response` or `error`."""
        kind, body, _ = self._answers.get(timeout=timeout)
        return kind, json.loads(body or b"null")

    @property
    def answered(self):
        return not self._answers.empty()


def _closed(connection):
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        """Quiet: the test looks at invocations."""

    def _reply(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        api = self.server.api
        if self.path != BASE + "invocation/next":
            self._reply(404)
            return
        invocation = api.take(self.connection)
        if invocation is None:
            self.close_connection = True
            return
        invocation.delivered_at = time.monotonic()
        deadline_ms = int((time.time() + invocation.seconds) * 1000)
        headers = [("Lambda-Runtime-Aws-Request-Id", invocation.id),
                   ("Lambda-Runtime-Deadline-Ms", str(deadline_ms)),
                   ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:111111111111:function:test"),
                   ("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a;Sampled=1"),
                   ("Content-Type", "application/json")]
        invocation.delivered.set()
        if api.chunked:
            self.send_response(200)
            for name, value in [*headers, ("Transfer-Encoding", "chunked")]:
                self.send_header(name, value)
            self.end_headers()
            for at in range(0, len(invocation.payload), 65_536):
                chunk = invocation.payload[at:at + 65_536]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self._reply(200, invocation.payload, headers)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._reply(self.server.api.posted(self.path, body, dict(self.headers)))


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A function that is killed breaks its connection: that is what some tests are about."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class RuntimeApi:
    """Serves any number of functions from one queue."""

    def __init__(self, chunked=False):
        self.chunked = chunked
        self.init_errors = queue.Queue()
        self.first_next = threading.Event()
        self._waiting = collections.deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._invocations = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def address(self):
        return f"127.0.0.1:{self._server.server_address[1]}"

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        """Ends the polls that wait: their connections close."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def invoke(self, event, seconds=120):
        """Queues an invocation that has `seconds` from its delivery on; bytes are sent as they are."""
        payload = event if isinstance(event, bytes) else json.dumps(event).encode()
        invocation = Invocation(len(self._invocations), payload, seconds)
        self._invocations[invocation.id] = invocation
        with self._changed:
            self._waiting.append(invocation)
            self._changed.notify_all()
        return invocation

    def take(self, connection):
        """The next invocation, or None when it is over.  Whoever died while polling gets none."""
        self.first_next.set()
        with self._changed:
            while not self._stopping and not _closed(connection):
                if self._waiting:
                    return self._waiting.popleft()
                self._changed.wait(1)
        return None

    def posted(self, path, body, headers):
        if path == BASE + "init/error":
            self.init_errors.put(json.loads(body))
            return 202
        parts = path.removeprefix(BASE).split("/")
        invocation = self._invocations.get(parts[1]) if len(parts) == 3 and parts[0] == "invocation" else None
        if invocation is None or parts[2] not in ("response", "error"):
            return 404
        invocation.answer(parts[2], body, headers)
        return 202


def start_function(api, environment, name="culvert-lambda", concurrency=None, program=None):
    """Starts the function with this environment and no other."""
    variables = {"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_LAMBDA_FUNCTION_NAME": "test",
                 "AWS_LAMBDA_LOG_LEVEL": "DEBUG", "AWS_LAMBDA_LOG_FORMAT": "JSON", **environment}
    if concurrency is not None:
        variables["AWS_LAMBDA_MAX_CONCURRENCY"] = str(concurrency)
    settings = [f"{key}={value}" for key, value in variables.items()]
    return Process(["env", "-i", *settings, program or function_program()], name=name,
                   directory=workspace().directory(name))
