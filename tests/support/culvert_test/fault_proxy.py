# SPDX-License-Identifier: Apache-2.0
"""A proxy between a client and DynamoDB that fails as services and networks do, one request at a time.

It understands HTTP/1.1 just enough to know where a request begins and ends, so that a fault hits exactly one call, and
it knows whether that call was carried out.  What is to happen is decided by `policy`, which may be changed at any time:

    proxy.policy = shares(random.Random(seed), reset_after_apply=0.1, throttle=0.3)
"""

import asyncio
import collections
import contextlib
import datetime
import email.utils
import json
import socket
import struct
import threading

from . import ports
from .workspace import SupportError

START_SECONDS = 10
PREFIX = "com.amazonaws.dynamodb.v20120810#"

# What a call meets.  APPLIED ones are carried out and the client does not learn it.
NOT_APPLIED = ("reset", "error_500", "error_503", "throttle", "expired_token")
APPLIED = ("reset_after_apply", "error_500_after_apply", "half_body")
SLOW = ("slow",)  # carried out after slow_seconds
HELD = ("hold",)  # carried out at release(), whoever has gone by then
FAULTS = NOT_APPLIED + APPLIED + SLOW + HELD


def shares(random, **probabilities):
    """A policy that draws each call's fault; the rest goes through."""
    unknown = probabilities.keys() - set(FAULTS)
    if unknown:
        raise SupportError(f"no such fault: {', '.join(sorted(unknown))}")

    def policy(_operation):
        draw = random.random()
        for fault, probability in probabilities.items():
            draw -= probability
            if draw < 0:
                return fault
        return None

    return policy


def first_puts(count):
    """A policy that lets so many puts through and holds all further ones."""
    left = count

    def policy(operation):
        nonlocal left
        if operation == "PutItem":
            left -= 1
        return "hold" if operation == "PutItem" and left < 0 else None

    return policy


def _error(status, name, message, headers=()):
    body = json.dumps({"__type": PREFIX + name, "message": message}).encode()
    lines = [f"HTTP/1.1 {status} Fault", "Content-Type: application/x-amz-json-1.0", f"Content-Length: {len(body)}",
             *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


ERRORS = {
    "error_500": _error(500, "InternalServerError", "an internal error"),
    "error_500_after_apply": _error(500, "InternalServerError", "an internal error"),
    "error_503": _error(503, "ServiceUnavailable", "not available"),
    "throttle": _error(400, "ProvisionedThroughputExceededException", "too many requests"),
    "expired_token": _error(400, "ExpiredTokenException", "the token has expired"),
}


class FaultProxy:
    """Use as a context manager, or start() and stop().  Runs in a thread of its own."""

    def __init__(self, backend_port, slow_seconds=10):
        self.port = ports.free_port()
        self.slow_seconds = slow_seconds
        self.policy = lambda operation: None
        # What the service's clock shows beyond ours; requests signed more than five minutes from it are refused.
        self.clock_offset = datetime.timedelta()
        self.down = False  # connections are reset at once
        self.counts = collections.Counter()  # by fault; "ok": went through; "clock": refused for its time
        self._backend_port = backend_port
        self._loop = None
        self._thread = None
        self._ready = threading.Event()
        self._released = None
        self._writers = set()
        self._tasks = set()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise SupportError("the fault proxy does not start")
        return self

    def stop(self):
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(START_SECONDS)
            self._thread = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def set_down(self, down):
        """While it is down connections are refused by a reset, those that are open too."""
        self.down = down
        if down:
            self._loop.call_soon_threadsafe(self._reset_all)

    def release(self):
        """What is held goes on, in the order of its coming: late writes of whoever has been killed meanwhile."""
        self._loop.call_soon_threadsafe(self._release)

    def _release(self):
        released, self._released = self._released, asyncio.Event()
        released.set()

    def _run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self._loop = asyncio.get_running_loop()
        self._stopped, self._released = asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(self._client, "127.0.0.1", self.port, limit=32 << 20)
        self._ready.set()
        await self._stopped.wait()
        server.close()
        self._reset_all()

    def _reset_all(self):
        for writer in list(self._writers):
            _reset(writer)

    async def _client(self, reader, writer):
        """One connection of the client, with one of its own to the service."""
        if self.down:
            return _reset(writer)
        self._writers.add(writer)
        task = asyncio.current_task()
        self._tasks.add(task)  # the event loop itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)
        backend = None
        # When the client, a reset or the end of the proxy ended the connection, nobody waits for an answer.
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            more = True
            while more:
                head = await reader.readuntil(b"\r\n\r\n")
                headers = _headers(head)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if backend is None:
                    backend = await asyncio.open_connection("127.0.0.1", self._backend_port, limit=32 << 20)
                more = await self._call(head + body, headers, writer, backend)
        self._writers.discard(writer)
        for each in (writer, backend[1] if backend else None):
            if each is not None:
                each.close()

    async def _call(self, request, headers, writer, backend):
        """False: the connection is gone."""
        fault = self._skewed(headers) or self.policy(headers.get("x-amz-target", "").rpartition(".")[2])
        name, answer = fault if isinstance(fault, tuple) else (fault, ERRORS.get(fault))
        self.counts[name or "ok"] += 1
        if name == "reset":
            return _reset(writer)
        if name in SLOW:
            await asyncio.sleep(self.slow_seconds)
        if name in HELD:
            await self._released.wait()
        if name is None or name in APPLIED + SLOW + HELD:
            reply = await _forward(request, backend)
            answer = answer or reply
        if name == "reset_after_apply":
            return _reset(writer)
        if name == "half_body":
            head, _, body = answer.partition(b"\r\n\r\n")
            writer.write(head + b"\r\n\r\n" + body[:len(body) // 2])
            await writer.drain()
            return False
        writer.write(answer)
        await writer.drain()
        return True

    def _skewed(self, headers):
        now = datetime.datetime.now(datetime.timezone.utc) + self.clock_offset
        signed = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(
            tzinfo=datetime.timezone.utc)
        if abs(signed - now) <= datetime.timedelta(minutes=5):
            return None
        date = email.utils.format_datetime(now, usegmt=True)
        return ("clock", _error(400, "InvalidSignatureException", "Signature expired", [f"Date: {date}"]))


def _headers(head):
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if value}


async def _forward(request, backend):
    reader, writer = backend
    writer.write(request)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    headers = _headers(head)
    if "content-length" not in headers:
        raise SupportError(f"the service answered without a length: {head!r}")
    return head + await reader.readexactly(int(headers["content-length"]))


def _reset(writer):
    """An abortive close: the other side sees a reset, not an end."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
