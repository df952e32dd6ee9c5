# SPDX-License-Identifier: Apache-2.0
"""DynamoDB Local, with the tables that the state has.

Flow    Applied -> [Tables] -> CreateTable by way of the machine's own loopback (services.py: look).
Owner   the supervisor.
Bounds  in memory: what is in the tables goes with the twin.  Signatures and policies are services.py's matter.
"""

import http.client
import json

from culvert_test.dynamodb import AUTHORIZATION, MAIN_CLASS
from culvert_test.parts import JarPart

HEAP_MB = 256


class TableError(Exception):
    """What DynamoDB answered instead."""


class Tables:
    def __init__(self):
        self._part = JarPart("dynamodb-local")

    def command(self, port):
        directory = self._part.directory
        return self._part.command(
            MAIN_CLASS, ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", port], HEAP_MB,
            properties={"java.library.path": directory, "sqlite4java.library.path": directory})


def call(port, operation, body, timeout=10):
    """One call from the machine itself."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", "/", json.dumps(body), {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}", "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Date": "20260101T000000Z", "Authorization": AUTHORIZATION})
        response = connection.getresponse()
        answer = json.loads(response.read() or b"{}")
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
    if response.status != 200:
        raise TableError(f"{operation}: {answer}")
    return answer


def make(port, applied):
    """Makes the tables that are applied and not there yet."""
    present = set(call(port, "ListTables", {})["TableNames"])
    for table in applied.of_type("aws_dynamodb_table"):
        if table["name"] in present:
            continue
        keys = [(table["hash_key"], "HASH")] + ([(table["range_key"], "RANGE")] if table["range_key"] else [])
        call(port, "CreateTable", {
            "TableName": table["name"], "BillingMode": table["billing_mode"],
            "AttributeDefinitions": [{"AttributeName": a["name"], "AttributeType": a["type"]}
                                     for a in table["attribute"]],
            "KeySchema": [{"AttributeName": name, "KeyType": role} for name, role in keys]})
        for ttl in table["ttl"] or ():
            if ttl["enabled"]:
                call(port, "UpdateTimeToLive", {"TableName": table["name"], "TimeToLiveSpecification": {
                    "AttributeName": ttl["attribute_name"], "Enabled": True}})


def count(port, table):
    """Items in a table."""
    total, start = 0, {}
    while True:
        page = call(port, "Scan", {"TableName": table, "Select": "COUNT", **start})
        total += page["Count"]
        if "LastEvaluatedKey" not in page:
            return total
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
