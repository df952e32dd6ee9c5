# SPDX-License-Identifier: Apache-2.0
"""A broker's IAM listener: takes bearer tokens, judges them by the roles' keys and policies, and hands over to Kafka.

Kafka itself knows nothing of IAM.  On Amazon MSK something in front of it does; here it is this.

Flow    client ═ TLS, OAUTHBEARER ═> [IamListener] -> Kafka's own listener inside the broker's namespace, as the
        user that stands for the role; brokers.py has given that user what the role's policies say.
Owner   services.py, one per broker.
Bounds  frames before the login are at most FRAME_BYTES_MOST; after the login bytes go through unread.
See     RFC 7628 (OAUTHBEARER); Kafka's protocol: ApiVersions, SaslHandshake, SaslAuthenticate.
"""

import asyncio
import contextlib
import struct

from identity import Refused

API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
MECHANISM = "OAUTHBEARER"
UNSUPPORTED_SASL_MECHANISM, ILLEGAL_SASL_STATE, SASL_AUTHENTICATION_FAILED = 33, 34, 58
FRAME_BYTES_MOST = 1 << 16
LOGIN_SECONDS = 15
CHUNK_BYTES = 1 << 16


class Frame:
    """A request as far as a login needs it."""

    def __init__(self, data):
        self.data = data
        self.api, self.version, self.correlation, length = struct.unpack_from(">hhih", data)
        self._at = 10 + max(0, length)
        if self.api == SASL_AUTHENTICATE and self.version >= 2:
            self._at += 1   # no tagged fields in the header

    def text(self):
        (length,) = struct.unpack_from(">h", self.data, self._at)
        return self.data[self._at + 2:self._at + 2 + length].decode()

    def authentication(self):
        if self.version < 2:
            (length,) = struct.unpack_from(">i", self.data, self._at)
            return self.data[self._at + 4:self._at + 4 + length]
        length, shift, at = 0, 0, self._at
        while True:
            byte = self.data[at]
            length |= (byte & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if byte < 0x80:
                return self.data[at:at + length - 1]


def _text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def _handshake_answer(frame, error):
    return struct.pack(">ihi", frame.correlation, error, 1) + _text(MECHANISM)


def _authenticate_answer(frame, error, message=None):
    if frame.version < 2:
        body = struct.pack(">h", error) + (struct.pack(">h", -1) if message is None else _text(message))
        lifetime = struct.pack(">q", 0) * frame.version   # from version 1 on
        return struct.pack(">i", frame.correlation) + body + struct.pack(">i", 0) + lifetime
    data = (message or "").encode()[:120]
    text = b"\0" if message is None else bytes([len(data) + 1]) + data
    return struct.pack(">ibh", frame.correlation, 0, error) + text + b"\1" + struct.pack(">q", 0) + b"\0"


async def _read_frame(reader):
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    if not 0 < size <= FRAME_BYTES_MOST:
        raise ConnectionError(f"a frame of {size} bytes before the login")
    return await reader.readexactly(size)


def _send(writer, data):
    writer.write(struct.pack(">i", len(data)) + data)


class IamListener:
    def __init__(self, identities, region, users, cluster, connect, record):
        """users: role -> (Kafka user, password); connect(): streams to Kafka;
        record(role, action, resource, allowed)."""
        self._identities, self._region, self._users, self._cluster = identities, region, users, cluster
        self._connect, self._record = connect, record

    async def serve(self, reader, writer):
        upstream = None
        try:
            # Either side may go away at any time, and who connects need not be a Kafka client.
            with contextlib.suppress(OSError, EOFError, struct.error):
                upstream_reader, upstream = await self._connect()
                async with asyncio.timeout(LOGIN_SECONDS):
                    if not await self._login(reader, writer, upstream_reader, upstream):
                        return
                await both_ways(reader, writer, upstream_reader, upstream)
        finally:
            for stream in (writer, upstream):
                if stream is not None:
                    stream.close()

    async def _login(self, reader, writer, upstream_reader, upstream):
        while True:
            frame = Frame(await _read_frame(reader))
            if frame.api == API_VERSIONS:
                _send(upstream, frame.data)
                _send(writer, await _read_frame(upstream_reader))
            elif frame.api == SASL_HANDSHAKE:
                known = frame.text() == MECHANISM
                _send(writer, _handshake_answer(frame, 0 if known else UNSUPPORTED_SASL_MECHANISM))
            elif frame.api == SASL_AUTHENTICATE:
                return await self._authenticate(frame, writer, upstream_reader, upstream)
            else:
                raise ConnectionError(f"request {frame.api} before the login")
            await writer.drain()

    async def _authenticate(self, frame, writer, upstream_reader, upstream):
        try:
            user, password = self._judge(frame.authentication())
        except Refused as refused:
            _send(writer, _authenticate_answer(frame, SASL_AUTHENTICATION_FAILED, f"{refused.code}: {refused}"))
            await writer.drain()
            return False
        client = struct.pack(">h", -1)
        _send(upstream, struct.pack(">hhi", SASL_HANDSHAKE, 1, 1) + client + _text("PLAIN"))
        await _read_frame(upstream_reader)
        plain = f"\0{user}\0{password}".encode()
        _send(upstream, struct.pack(">hhi", SASL_AUTHENTICATE, 0, 2) + client + struct.pack(">i", len(plain)) + plain)
        answer = await _read_frame(upstream_reader)
        (error,) = struct.unpack_from(">h", answer, 4)
        _send(writer, _authenticate_answer(frame, error, None if error == 0 else "the broker does not know the role"))
        await writer.drain()
        return error == 0

    def _judge(self, message):
        fields = dict(f.split("=", 1) for f in message.decode(errors="replace").split("\1") if "=" in f)
        kind, _, token = fields.get("auth", "").partition(" ")
        if kind.lower() != "bearer":
            raise Refused("InvalidToken", "no bearer token")
        identity = self._identities().of_token(token.strip(), self._region)
        allowed = identity.allows("kafka-cluster:Connect", self._cluster)
        self._record(identity.role, "kafka-cluster:Connect", self._cluster, allowed)
        if not allowed or identity.role not in self._users:
            raise Refused("AccessDenied", f"{identity.role} is not authorized to perform kafka-cluster:Connect on "
                          f"{self._cluster}")
        return self._users[identity.role]


async def both_ways(reader, writer, upstream_reader, upstream):
    async def pump(source, target):
        while data := await source.read(CHUNK_BYTES):
            target.write(data)
            await target.drain()
        with contextlib.suppress(OSError, RuntimeError):   # TLS cannot close one direction
            if target.can_write_eof():
                target.write_eof()
    pumps = [asyncio.create_task(pump(reader, upstream)), asyncio.create_task(pump(upstream_reader, writer))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
