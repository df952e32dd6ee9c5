#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The AWS services that culvert calls, for the twin: signatures verified, policies enforced, calls written down.

    services.py FOLDER      (started by the supervisor; SIGHUP: read the applied state anew)

    dynamodb              DynamoDB Local behind signature and policy
    kafka                 ListNodes: where the brokers are at the moment
    elasticloadbalancing  RegisterTargets, DeregisterTargets, DescribeTargetHealth on the applied target groups
    secretsmanager        GetSecretValue within the own account

Flow    programs ═ TLS, by the services' own names ═> [services] -> DynamoDB Local, cloud folder.
Owner   the supervisor starts it again when it ends.
Bounds  requests of at most REQUEST_BYTES_MOST; calls of each kind are counted in calls.json, once a second.
"""

import asyncio
import collections
import contextlib
import json
import os
import pathlib
import re
import secrets
import signal
import socket
import ssl
import sys
import urllib.parse
import xml.sax.saxutils

import applied
import namespaces
import topology
from iam_listener import IamListener, both_ways
from identity import Identities, Identity, Refused

REQUEST_BYTES_MOST = 16 << 20
CHECK_SECONDS = 2
LB_NAMESPACE = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body

    @property
    def service(self):
        return self.headers.get("host", "").partition(".")[0]


async def read_request(reader):
    """The next request of a connection, or None at its end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, target, _ = head[0].split(" ", 2)
    headers = {}
    for line in head[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    size = int(headers.get("content-length", "0"))
    if not 0 <= size <= REQUEST_BYTES_MOST:
        raise ConnectionError(f"a request of {size} bytes")
    return Request(method, target, headers, await reader.readexactly(size))


def answer_of(status, body, content="application/x-amz-json-1.0"):
    data = body if isinstance(body, bytes) else body.encode()
    return (f"HTTP/1.1 {status} {'OK' if status == 200 else 'Error'}\r\nContent-Type: {content}\r\n"
            f"x-amzn-RequestId: {secrets.token_hex(8)}\r\nContent-Length: {len(data)}\r\n\r\n").encode() + data


def table_names(x):
    """Every table that a DynamoDB request names."""
    if isinstance(x, dict):
        if isinstance(x.get("TableName"), str):
            yield x["TableName"]
        yield from x["RequestItems"] if isinstance(x.get("RequestItems"), dict) else ()
        for value in x.values():
            yield from table_names(value)
    elif isinstance(x, list):
        for value in x:
            yield from table_names(value)


class Services:
    def __init__(self, folder):
        self.folder = folder
        self.settings = json.loads((folder / "services.json").read_text())
        self.calls = collections.Counter()
        self._idle = []   # connections to DynamoDB Local
        self.load()

    def load(self):
        self.settings = json.loads((self.folder / "services.json").read_text())
        self.applied = applied.read(self.folder)
        self.identities = Identities([Identity(i["role"], i["access_key"], i["secret_key"], tuple(i["statements"]))
                                      for i in self.settings["identities"]])

    def record(self, role, action, resource, allowed):
        self.calls[role, action, resource, allowed] += 1

    def keep_calls(self):
        scratch = self.folder / "calls.json.new"
        scratch.write_text(json.dumps([{"role": r, "action": a, "resource": on, "allowed": ok, "calls": n}
                                       for (r, a, on, ok), n in sorted(self.calls.items())], indent=1))
        os.replace(scratch, self.folder / "calls.json")

    def require(self, identity, action, resource):
        allowed = identity.allows(action, resource)
        self.record(identity.role, action, resource, allowed)
        if not allowed:
            raise Refused("AccessDeniedException", f"User: {identity.role} is not authorized to perform: {action} on "
                          f"resource: {resource} because no identity-based policy allows the {action} action")

    # ---- HTTP ----

    async def serve(self, reader, writer):
        with contextlib.suppress(OSError, EOFError, ValueError):
            while (request := await read_request(reader)) is not None:
                writer.write(await self.answer(request))
                await writer.drain()
        writer.close()

    async def answer(self, request):
        handler = {"dynamodb": self.dynamodb, "kafka": self.kafka, "elasticloadbalancing": self.balancing,
                   "secretsmanager": self.secrets}.get(request.service)
        if handler is None:
            return answer_of(404, json.dumps({"__type": "UnknownService", "Message": request.service}))
        try:
            identity = self.identities.of_request(request.method, request.target, request.headers, request.body)
            return await handler(identity, request)
        except Refused as refused:
            if request.service == "elasticloadbalancing":
                text = xml.sax.saxutils.escape(str(refused))
                code = refused.code.removesuffix("Exception")
                return answer_of(403, f'<ErrorResponse xmlns="{LB_NAMESPACE}"><Error><Type>Sender</Type>'
                                 f"<Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>", "text/xml")
            status = 403 if request.service == "kafka" else 400
            return answer_of(status, json.dumps({"__type": refused.code, "message": str(refused)}))

    # ---- DynamoDB ----

    async def dynamodb(self, identity, request):
        action = "dynamodb:" + request.headers.get("x-amz-target", "").rpartition(".")[2]
        account = identity.role.split(":")[4]
        tables = sorted(set(table_names(json.loads(request.body or b"{}"))))
        for name in tables or ["*"]:
            arn = name if name.startswith("arn:") else f"arn:aws:dynamodb:{self.applied.region}:{account}:table/{name}"
            self.require(identity, action, arn)
        head = f"{request.method} {request.target} HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Length: {len(request.body)}\r\n"
        head += "".join(f"{name}: {request.headers[name]}\r\n" for name in
                        ("x-amz-target", "content-type", "x-amz-date", "authorization") if name in request.headers)
        return await self._forward((head + "\r\n").encode() + request.body)

    async def _forward(self, data):
        """To DynamoDB Local, by a kept connection; one that it has closed meanwhile is replaced."""
        for fresh in (not self._idle, True):
            reader, writer = await self._connect_table() if fresh else self._idle.pop()
            try:
                writer.write(data)
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
                body = await reader.readexactly(size)
            except (OSError, EOFError):
                writer.close()
                continue
            self._idle.append((reader, writer))
            return head + body
        return answer_of(500, json.dumps({"__type": "InternalServerError", "message": "DynamoDB Local has gone away"}))

    async def _connect_table(self):
        return await namespaces.connect(self.settings["services_namespace"], "127.0.0.1", self.settings["table_port"])

    # ---- Amazon MSK ----

    async def kafka(self, identity, request):
        path = urllib.parse.unquote(request.target.partition("?")[0])
        found = re.fullmatch(r"/v1/clusters/(arn:[^?]+)/nodes", path)
        if not found:
            return answer_of(404, json.dumps({"__type": "NotFoundException", "message": path}), "application/json")
        self.require(identity, "kafka:ListNodes", found[1])
        nodes = [{"nodeARN": f"{found[1].replace(':cluster/', ':broker/')}/{number}", "nodeType": "BROKER",
                  "brokerNodeInfo": {"brokerId": float(number), "clientVpcIpAddress": b["address"],
                                     "clientSubnet": b["subnet_id"], "attachedENIId": b["attached_eni_id"],
                                     "endpoints": [b["endpoint"]]}}
                 for number, b in self.applied_now().brokers(found[1]).items()]
        return answer_of(200, json.dumps({"nodeInfoList": nodes[::-1]}), "application/json")

    def applied_now(self):
        """Brokers and targets change without an apply."""
        return applied.read(self.folder)

    # ---- Elastic Load Balancing ----

    async def balancing(self, identity, request):
        form = dict(urllib.parse.parse_qsl(request.body.decode() or request.target.partition("?")[2]))
        action, group = form.get("Action", ""), form.get("TargetGroupArn", "")
        if action not in ("DescribeTargetHealth", "RegisterTargets", "DeregisterTargets"):
            raise Refused("InvalidAction", f"{action} is not served here")
        self.require(identity, f"elasticloadbalancing:{action}", "*" if action.startswith("Describe") else group)
        known = self.applied.one("aws_lb_target_group", arn=group)
        if known is None:
            raise Refused("TargetGroupNotFound", f"One or more target groups not found: {group}")
        members = collections.defaultdict(dict)
        for name, value in form.items():
            part = re.fullmatch(r"Targets\.member\.(\d+)\.(Id|Port)", name)
            if part:
                members[part[1]][part[2]] = value
        wanted = [(m["Id"], int(m.get("Port") or known["port"])) for m in members.values()]
        if action == "DescribeTargetHealth":
            inner = await self._health(known)
        else:
            self._change_targets(known, wanted, add=action == "RegisterTargets")
            inner = ""
        metadata = f"<ResponseMetadata><RequestId>{secrets.token_hex(8)}</RequestId></ResponseMetadata>"
        return answer_of(200, f'<{action}Response xmlns="{LB_NAMESPACE}"><{action}Result>{inner}</{action}Result>'
                         f"{metadata}</{action}Response>", "text/xml")

    def _change_targets(self, group, wanted, add):
        """In the cloud, where the next apply and the supervisor see it."""
        kind, arn = "aws_lb_target_group_attachment", group["arn"]

        def edit(records, account):
            if account != arn.split(":")[4]:
                return False
            present = {(r["attributes"]["target_id"], int(r["attributes"]["port"])): key for key, r in records.items()
                       if r["type"] == kind and r["attributes"]["target_group_arn"] == arn}
            for target in wanted:
                if not add and target in present:
                    del records[present[target]]
                elif add and target not in present:
                    number = f"{arn}-{secrets.token_hex(10)}"
                    records[f"{kind}/{number}"] = {
                        "type": kind, "id": number, "region": group["region"], "serial": 1_000_000,
                        "attributes": {"id": number, "target_group_arn": arn, "target_id": target[0], "port": target[1],
                                       "availability_zone": None, "quic_server_id": None, "region": group["region"]}}
            return bool(wanted)
        self.applied.cloud.change(edit)

    async def _health(self, group):
        health = group.block("health_check")
        text = "<TargetHealthDescriptions>"
        for address, port in self.applied_now().targets(group["arn"]):
            check = int(health["port"]) if str(health.get("port", "")).isdigit() else port
            healthy = await self._answers(address, check)
            reason = "" if healthy else "<Reason>Target.FailedHealthChecks</Reason>"
            text += (f"<member><Target><Id>{address}</Id><Port>{port}</Port></Target><HealthCheckPort>{check}"
                     f"</HealthCheckPort><TargetHealth><State>{'healthy' if healthy else 'unhealthy'}</State>{reason}"
                     f"</TargetHealth></member>")
        return text + "</TargetHealthDescriptions>"

    async def _answers(self, address, port):
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                _, writer = await namespaces.connect(self.settings["balancers_namespace"], address, port)
        except OSError:   # TimeoutError is one
            return False
        writer.close()
        return True

    # ---- Secrets Manager ----

    async def secrets(self, identity, request):
        if request.headers.get("x-amz-target") != "secretsmanager.GetSecretValue":
            raise Refused("InvalidAction", "only GetSecretValue is served here")
        arn = json.loads(request.body)["SecretId"]
        self.require(identity, "secretsmanager:GetSecretValue", arn)
        secret = self.applied.one("aws_secretsmanager_secret", arn=arn)
        if arn.split(":")[4] != identity.role.split(":")[4]:
            raise Refused("AccessDeniedException", f"{arn} is another account's; the applies judge that, not this")
        text = self.applied.secret(arn)
        if secret is None or text is None:
            raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return answer_of(200, json.dumps({"ARN": arn, "Name": secret["name"], "SecretString": text,
                                          "VersionStages": ["AWSCURRENT"]}), "application/x-amz-json-1.1")

    # ---- life ----

    async def run(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.settings["certificate"], self.settings["key"])
        listening = namespaces.listener(self.settings["services_namespace"], topology.SERVICES_ADDRESS, 443)
        servers = [await asyncio.start_server(self.serve, sock=listening, ssl=context)]
        servers.append(await asyncio.start_server(self._look, sock=socket.create_server(
            ("127.0.0.1", self.settings["look_port"]))))
        for broker in self.settings["iam_listeners"]:
            servers.append(await self._iam_server(broker))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.load)
        print("services: ready", flush=True)
        async with contextlib.AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server)
            while True:
                await asyncio.sleep(1)
                self.keep_calls()

    async def _iam_server(self, broker):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(broker["certificate"], broker["key"])
        users = {role: tuple(pair) for role, pair in self.settings["iam_users"].items()}
        gate = IamListener(lambda: self.identities, self.applied.region, users, self.settings["cluster"],
                           lambda: namespaces.connect(broker["namespace"], "127.0.0.1", broker["kafka_port"]),
                           self.record)
        # Any address of the namespace: the broker may move.
        listening = namespaces.listener(broker["namespace"], "0.0.0.0", broker["port"])
        return await asyncio.start_server(gate.serve, sock=listening, ssl=context)

    async def _look(self, reader, writer):
        """From the machine itself to the tables, for people: no signature is asked."""
        try:
            upstream_reader, upstream = await self._connect_table()
        except OSError:
            writer.close()
            return
        with contextlib.suppress(OSError):
            await both_ways(reader, writer, upstream_reader, upstream)
        writer.close()
        upstream.close()


if __name__ == "__main__":
    asyncio.run(Services(pathlib.Path(sys.argv[1])).run())
