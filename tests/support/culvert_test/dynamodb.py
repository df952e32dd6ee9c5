# SPDX-License-Identifier: Apache-2.0
"""DynamoDB Local as a test part.

What it does not do: it never checks signatures, never throttles, and serialises writes (about 3 000 puts a second).
It listens on all addresses of the machine (it has no option for that) and holds everything in memory.
"""

import http.client
import json

from . import ports
from .parts import JarPart
from .process import Process, wait_until
from .workspace import workspace

MAIN_CLASS = "software.amazon.dynamodb.services.local.main.ServerRunner"
READY_SECONDS = 240
# It looks at the form of the header and the access key id only.
AUTHORIZATION = ("AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, "
                 "SignedHeaders=host;x-amz-date, Signature=0")


class DynamoDbError(Exception):
    """An error answer; `name` is the short type, such as ConditionalCheckFailedException."""

    def __init__(self, status, body):
        self.status = status
        self.body = body
        self.name = body.get("__type", "").rpartition("#")[2]
        super().__init__(f"HTTP {status} {self.name}: {body.get('Message') or body.get('message')}")


class DynamoDbLocal:
    def __init__(self, heap_mb=256, quick=True):
        self.port = ports.free_port()
        self._heap_mb = heap_mb
        self._quick = quick
        self.process = None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self):
        """Environment that makes an AWS client talk to it."""
        return {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL_DYNAMODB": self.endpoint}

    def start(self):
        part = JarPart("dynamodb-local")
        directory = workspace().directory("dynamodb-local")
        # No class archive: it halts the JVM at its end, so none would be written.
        command = part.command(
            MAIN_CLASS, ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", self.port], self._heap_mb,
            properties={"java.library.path": part.directory, "sqlite4java.library.path": part.directory},
            quick=self._quick)
        self.process = Process(command, name="dynamodb-local", directory=directory, cwd=directory,
                               env={"DDB_LOCAL_TELEMETRY": "0"})
        wait_until(self._answers, READY_SECONDS, f"DynamoDB Local answers on port {self.port}", self.process)
        return self

    def _answers(self):
        try:
            return self.call("ListTables", {}) is not None
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def pause(self):
        """Connections stay open, nothing is answered."""
        self.process.pause()

    def resume(self):
        self.process.resume()

    def call(self, operation, body, timeout=10):
        """One API call with DynamoDB's own JSON; returns the answer or raises DynamoDbError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("POST", "/", json.dumps(body), {
                "X-Amz-Target": f"DynamoDB_20120810.{operation}", "Content-Type": "application/x-amz-json-1.0",
                "X-Amz-Date": "20260101T000000Z", "Authorization": AUTHORIZATION})
            response = connection.getresponse()
            answer = json.loads(response.read() or b"{}")
        finally:
            connection.close()
        if response.status != 200:
            raise DynamoDbError(response.status, answer)
        return answer

    def create_table(self, name, partition_key, sort_key=None):
        """Keys are (name, type) with type S, N or B."""
        keys = [partition_key] + ([sort_key] if sort_key else [])
        return self.call("CreateTable", {
            "TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": kind} for key, kind in keys],
            "KeySchema": [{"AttributeName": key, "KeyType": role}
                          for (key, _), role in zip(keys, ("HASH", "RANGE"))]})

    def scan(self, table):
        """All items of a table, in DynamoDB's JSON."""
        items, start = [], {}
        while True:
            page = self.call("Scan", {"TableName": table, "ConsistentRead": True, **start})
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                return items
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
