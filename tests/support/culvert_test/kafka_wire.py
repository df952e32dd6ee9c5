# SPDX-License-Identifier: Apache-2.0
"""Three Kafka requests over a plaintext listener, enough to ask ONE given broker what it knows.

Clients are built to hide which broker answers; a test must know when *each* broker is ready, has a topic's leader, or
has received an access rule.  Everything else goes through tests/support/kafka_admin.cc.
"""

import socket
import struct

METADATA, DESCRIBE_ACLS = 3, 29
ANY = 1  # in ACL filters: any resource type, pattern, operation or permission


class _Reader:
    def __init__(self, data):
        self._data = data
        self._at = 0

    def number(self, form):
        form = ">" + form
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def text(self):
        size = self.number("h")
        if size < 0:
            return None
        self._at += size
        return self._data[self._at - size:self._at].decode()

    def array(self, item):
        return [item() for _ in range(max(0, self.number("i")))]


def _text(value):
    if value is None:
        return struct.pack(">h", -1)
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def _call(port, api, version, body, timeout):
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.settimeout(timeout)
        request = struct.pack(">hhi", api, version, 1) + _text("culvert-test") + body
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as answers:
            head = answers.read(4)
            data = answers.read(struct.unpack(">i", head)[0]) if len(head) == 4 else b""
        if len(data) < 4:
            raise ConnectionError(f"port {port}: connection closed without an answer")
        reader = _Reader(data)
        reader.number("i")  # correlation id
        return reader


def metadata(port, topic=None, timeout=10):
    """{"brokers": {id: (host, port)}, "partitions": {id: leader or -1}} as the broker at `port` sees it."""
    body = struct.pack(">i", 0) if topic is None else struct.pack(">i", 1) + _text(topic)
    reader = _call(port, METADATA, 4, body + struct.pack(">?", False), timeout)
    reader.number("i")  # throttle time

    def broker():
        node, host, broker_port = reader.number("i"), reader.text(), reader.number("i")
        reader.text()  # rack
        return node, (host, broker_port)

    def partition():
        error, number, leader = reader.number("h"), reader.number("i"), reader.number("i")
        reader.array(lambda: reader.number("i"))  # replicas
        reader.array(lambda: reader.number("i"))  # in-sync replicas
        return number, leader if error == 0 else -1

    def topic_entry():
        reader.number("h")  # error: an unknown topic has no partitions
        reader.text()
        reader.number("?")  # internal
        return reader.array(partition)

    brokers = dict(reader.array(broker))
    reader.text()  # cluster id
    reader.number("i")  # controller id
    topics = reader.array(topic_entry)
    return {"brokers": brokers, "partitions": dict(topics[0]) if topics else {}}


def acl_count(port, timeout=10):
    """How many access rules the broker at `port` has applied."""
    body = (struct.pack(">b", ANY) + _text(None) + struct.pack(">b", ANY) + _text(None) + _text(None) +
            struct.pack(">bb", ANY, ANY))
    reader = _call(port, DESCRIBE_ACLS, 1, body, timeout)
    reader.number("i")  # throttle time
    error, message = reader.number("h"), reader.text()
    if error != 0:
        raise ConnectionError(f"port {port}: access rules: error {error} {message}")

    def rule():
        reader.text()
        reader.text()
        reader.number("b")
        reader.number("b")

    def resource():
        reader.number("b")
        reader.text()
        reader.number("b")
        return len(reader.array(rule))

    return sum(reader.array(resource))
