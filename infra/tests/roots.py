# SPDX-License-Identifier: Apache-2.0
"""Scenarios over both accounts.  Each has a world of its own and returns None, or what is wrong."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile

from accounts import Deployment, Root, handed_over, root_principal, ANALYTICS
from toolchain import HERE, INFRA
from workspace import ANALYTICS_ACCOUNT, OTHER_ACCOUNT, STREAM_ACCOUNT, Failed, Workspace

SCENARIOS = {}


def scenario(check):
    SCENARIOS[check.__name__] = check
    return check


class Worlds:
    """What most scenarios begin with is applied once; each goes on in a fork of its own."""

    def __init__(self, toolchain, source, accepted=True):
        self.toolchain = toolchain
        self.source = source
        self.accepted = accepted   # else only the first two applies, where nobody looks at connections
        self.applied = {}
        self.workspaces = []

    def close(self):
        for workspace in self.workspaces:
            workspace.__exit__()

    def empty(self):
        self.workspaces.append(Workspace(self.toolchain, self.source))
        return self.workspaces[-1]

    def shared(self, path="endpoint_per_broker"):
        """A deployment after all three applies, to look at."""
        if path not in self.applied:
            deployment = Deployment(self.empty(), path=path)
            deployment.apply(accept=self.accepted)
            self.applied[path] = deployment
        return self.applied[path]

    def fork(self, path="endpoint_per_broker"):
        """A deployment after all three applies, to change."""
        original = self.shared(path)
        self.workspaces.append(original.stream.workspace.fork())
        return original.in_fork(self.workspaces[-1])


PATHS = ("endpoint_per_broker", "multi_vpc")


def worlds_of(toolchain, source=INFRA):
    """The worlds of this run: roots and policy look at the same ones."""
    if toolchain.worlds is None or toolchain.worlds.source != source:
        if toolchain.worlds is not None:
            toolchain.worlds.close()
        toolchain.worlds = Worlds(toolchain, source)
    return toolchain.worlds


def run(toolchain, report, names, source=INFRA):
    unknown = set(names) - set(SCENARIOS)
    if unknown:
        raise SystemExit(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    worlds = worlds_of(toolchain, source)
    for name, check in SCENARIOS.items():
        if not names or name in names:
            report.timed(name, lambda: check(worlds))


def wrong(*findings):
    """The first finding whose condition does not hold."""
    for holds, text in findings:
        if not holds:
            return text
    return None


@scenario
def three_applies_then_no_changes(worlds):
    """Stream, analytics, acceptance: then the endpoints are open and nobody wants to change anything."""
    deployment = worlds.shared()
    analytics = deployment.analytics.outputs()
    return wrong(
        (set(analytics["endpoint_states"].values()) == {"available"},
         f"endpoints are {analytics['endpoint_states']}"),
        (analytics["last_processing_result"] == "No records processed", analytics["last_processing_result"]),
        (deployment.stream.changes() is None, f"stream is not stable:\n{deployment.stream.changes()}"),
        (deployment.analytics.changes() is None, f"analytics is not stable:\n{deployment.analytics.changes()}"))


@scenario
def multi_vpc_then_no_changes(worlds):
    deployment = worlds.shared("multi_vpc")
    analytics = deployment.analytics.outputs()
    return wrong(
        (analytics["accepted_endpoints"] == {}, "managed connectivity has endpoints to accept"),
        (deployment.stream.changes() is None, f"stream is not stable:\n{deployment.stream.changes()}"),
        (deployment.analytics.changes() is None, f"analytics is not stable:\n{deployment.analytics.changes()}"))


@scenario
def destroy_leaves_nothing_and_apply_works_again(worlds):
    """Inside the secrets' recovery window, whose names are still taken."""
    deployment = worlds.fork()
    workspace = deployment.stream.workspace
    deployment.destroy()
    left = [key for account in (STREAM_ACCOUNT, ANALYTICS_ACCOUNT) for key in workspace.account(account)["records"]]
    buried = workspace.account(STREAM_ACCOUNT).get("buried", {})
    if left or not buried:
        return f"left: {left}; names in their recovery window: {sorted(buried)}"
    deployment.apply()
    return None


@scenario
def six_brokers_in_three_zones(worlds):
    """Grown from three in one apply of each root; every broker by its own id, name, endpoint and zone."""
    deployment = worlds.fork()
    deployment.stream.variables["broker_count"] = 6
    stream, analytics = deployment.apply()
    brokers = json.loads(stream["connection_document"])["brokers"]
    targets = {a["target_id"] for a in deployment.stream.of_type("aws_lb_target_group_attachment")}
    zones = {z["name"] for z in deployment.analytics.of_type("aws_route53_zone")}
    return wrong(
        (sorted(brokers) == ["1", "2", "3", "4", "5", "6"], f"brokers are {sorted(brokers)}"),
        (all(b["host"].startswith(f"b-{id}.") for id, b in brokers.items()), f"names do not follow ids: {brokers}"),
        (len(targets) == 6, f"targets are {targets}"),
        (zones == {b["host"] for b in brokers.values()}, f"zones are {zones}"),
        (len(analytics["endpoint_states"]) == 6 and set(analytics["endpoint_states"].values()) == {"available"},
         f"endpoints are {analytics['endpoint_states']}"),
        (deployment.stream.changes() is None, "stream is not stable"))


@scenario
def two_applications_side_by_side(worlds):
    """In the same two accounts, with the same address plan and the same topic."""
    first = worlds.fork()
    Deployment(first.stream.workspace, "weather").apply()
    return wrong((first.stream.changes() is None, "the first stream root was disturbed"),
                 (first.analytics.changes() is None, "the first analytics root was disturbed"))


@scenario
def a_second_consumer_account(worlds):
    """Both get through; a third account, which was not named, sees neither the secret nor the services."""
    principals = [root_principal(ANALYTICS_ACCOUNT), root_principal(OTHER_ACCOUNT)]
    deployment = worlds.fork()
    workspace = deployment.stream.workspace
    stream = deployment.stream.apply(allowed_service_principal_arns=principals)
    common = {"application_name": "telemetry", "deletion_protection": False, **handed_over(stream)}
    consumers = {"analytics": deployment.analytics,
                 "other": Root(workspace, ANALYTICS, OTHER_ACCOUNT, "other", {**common, "account_id": OTHER_ACCOUNT})}
    accepted = {name: root.apply(**common)["accepted_endpoints"] for name, root in consumers.items()}
    deployment.stream.apply(accepted_endpoints=accepted)
    states = [root.apply()["endpoint_states"] for root in consumers.values()]
    stranger = Root(workspace, ANALYTICS, "444444444444", "stranger", {**common, "account_id": "444444444444"})
    refused = stranger.refusal()
    return wrong(
        (all(set(s.values()) == {"available"} for s in states), f"states are {states}"),
        ("no resource-based policy allows arn:aws:iam::444444444444:role/deploy to secretsmanager:GetSecretValue"
         in refused,
         f"the stranger was refused for another reason: {refused[-1500:]}"))


@scenario
def overlapping_address_plans(worlds):
    """A private link joins networks that could not be routed to each other."""
    deployment = Deployment(worlds.empty())
    zones = ("a", "b", "c")
    deployment.stream.variables.update(vpc_cidr_block="10.0.0.0/16", private_subnets={
        f"private_{z}": {"cidr_block": f"10.0.{i}.0/24", "availability_zone": f"eu-central-1{z}"}
        for i, z in enumerate(zones, 1)})
    _, analytics = deployment.apply()
    return wrong((set(analytics["endpoint_states"].values()) == {"available"}, str(analytics["endpoint_states"])))


@scenario
def zones_that_the_service_does_not_offer(worlds):
    """us-east-1 has six zones, the brokers are in three: the consumer is told, and a subnet in a right one suffices."""
    region = {"region": "us-east-1"}
    deployment = Deployment(worlds.empty(), **region)
    deployment.stream.variables["private_subnets"] = {
        z: {"cidr_block": f"10.1.{i}.0/24", "availability_zone": f"us-east-1{z}"} for i, z in enumerate("abc", 1)}
    stream = deployment.stream.apply()

    def subnets(letters):
        return {z: {"cidr_block": f"10.0.{i}.0/24", "availability_zone": f"us-east-1{z}"}
                for i, z in enumerate(letters, 1)}
    # Account 1's a, b, c are zones 2, 3, 4; account 2's d, e, f are zones 6, 1, 2 and its d, e are not among them.
    deployment.analytics.variables.update(public_subnets={}, private_subnets=subnets("de"), **handed_over(stream))
    refused = deployment.analytics.refusal()
    deployment.analytics.apply(private_subnets=subnets("def"))
    endpoints = deployment.analytics.of_type("aws_vpc_endpoint")
    each = {len(e["subnet_ids"]) for e in endpoints if e["vpc_endpoint_type"] == "Interface"}
    return wrong(("no subnet is in one of them" in refused, f"refused for another reason: {refused[-1500:]}"),
                 (each == {1}, f"endpoints are in {each} subnets"))


@scenario
def no_password_in_any_state(worlds):
    deployment = worlds.shared()
    workspace = deployment.stream.workspace
    passwords = []
    for account in (STREAM_ACCOUNT, ANALYTICS_ACCOUNT):
        for key, record in workspace.account(account)["records"].items():
            if key.startswith("aws_secretsmanager_secret/") and "current" in record.get("hidden", {}):
                text = json.loads(record["hidden"]["current"]["secret_string"])
                passwords += [text["password"]] if "password" in text else []
    states = deployment.stream.raw_state() + deployment.analytics.raw_state()
    return wrong((len(passwords) == 2 and passwords[0] == passwords[1] and len(passwords[0]) == 40,
                  f"the consumer's copy is not the stream account's ({len(passwords)} found)"),
                 (passwords[0] not in states, "a password is in a state"))


@scenario
def rotated_credentials_are_copied(worlds):
    deployment = worlds.fork()

    def password(account):
        for record in deployment.stream.workspace.account(account)["records"].values():
            if record["type"] == "aws_secretsmanager_secret" and "Kafka user" in record["attributes"]["description"]:
                return json.loads(record["hidden"]["current"]["secret_string"])["password"]
        return None
    before = password(STREAM_ACCOUNT)
    deployment.stream.apply(credentials_version=2)
    between = password(ANALYTICS_ACCOUNT)
    deployment.analytics.apply(credentials_version=2)
    return wrong((password(STREAM_ACCOUNT) != before, "the password is still the old one"),
                 (between == before, "the copy changed by itself"),
                 (password(ANALYTICS_ACCOUNT) == password(STREAM_ACCOUNT), "the copy did not follow"))


@scenario
def functions_come_after_their_policies_and_logs(worlds):
    """A function that starts before them has no permissions, and Lambda makes a log group that never expires."""
    deployment = worlds.shared()
    for root in (deployment.stream, deployment.analytics):
        for resource, dependencies in root.dependencies_of("aws_lambda_function"):
            module = resource["module"].replace("[0]", "")
            for needed in ("aws_iam_role_policy.function", "aws_cloudwatch_log_group.function"):
                if f"{module}.{needed}" not in dependencies:
                    return f"{module}.aws_lambda_function.{resource['name']} does not come after {needed}"
    return None


def validated(worlds, documents):
    """Of each document: None, or what an independent validator says against the schema."""
    python = worlds.toolchain.python_tools("lint", HERE / "requirements-lint.txt") / "bin" / "python"
    check = ("import json, sys, jsonschema\n"
             "validator = jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))\n"
             "for line in sys.stdin:\n"
             "    error = next(validator.iter_errors(json.loads(line)), None)\n"
             "    print(json.dumps(None if error is None else error.message))\n")
    text = "".join(json.dumps(document) + "\n" for document in documents)
    result = subprocess.run([python, "-c", check, INFRA / "connection.schema.json"], input=text, capture_output=True,
                            text=True, timeout=120)
    if result.returncode != 0:
        raise Failed(result.stderr[-1500:])
    return [json.loads(line) for line in result.stdout.splitlines()]


@scenario
def the_hand_over_has_the_form_of_its_schema(worlds):
    """As both paths write it; and the program that reads it understands it, where it has been built."""
    documents = {path: json.loads(worlds.shared(path).stream.outputs()["connection_document"]) for path in PATHS}
    for path, problem in zip(documents, validated(worlds, documents.values())):
        if problem:
            return f"{path}: {problem}"
    program = os.environ.get("CULVERT_BIN")
    if not program:
        return None
    # Both get as far as the login, for which this machine has nothing to show.
    expected = {"endpoint_per_broker": "clients log in by SCRAM, and no user is given",
                "multi_vpc": "AWS credentials: none found"}
    for path, document in documents.items():
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(document, file)
            file.flush()
            result = subprocess.run([program, "tail", "-t", "telemetry", "--connection", file.name], text=True,
                                    capture_output=True, timeout=60,
                                    env={"HOME": "/", "AWS_EC2_METADATA_DISABLED": "true"})
        if expected[path] not in result.stderr:
            return f"{path}: culvert says: {result.stderr}"
    return None


@scenario
def the_schema_and_the_program_judge_alike(worlds):
    """The cases by which the program's own reader is tested, judged by the schema."""
    cases = []
    for block in (INFRA.parent / "tests" / "golden" / "connection.txt").read_text().split("\n\n"):
        fields = dict(line.partition(" ")[::2] for line in block.splitlines() if not line.startswith("#"))
        if fields and "beyond-schema" not in fields:
            cases.append((fields["case"], "says" in fields, json.loads(fields["document"])))
    verdicts = validated(worlds, [document for _, _, document in cases])
    differ = [name for (name, refused, _), problem in zip(cases, verdicts) if refused != (problem is not None)]
    return wrong((len(cases) >= 40, f"only {len(cases)} cases"), (not differ, f"judged otherwise: {', '.join(differ)}"))


@scenario
def unknown_versions_of_the_hand_over_are_refused(worlds):
    deployment = worlds.fork()
    stream = deployment.stream.outputs()

    def newer(records):
        for key, record in records.items():
            if key == "aws_secretsmanager_secret/" + stream["connection_secret_arn"]:
                document = json.loads(record["hidden"]["current"]["secret_string"])
                record["hidden"]["current"]["secret_string"] = json.dumps({**document, "version": 2})
    deployment.stream.workspace.change_by_hand(STREAM_ACCOUNT, newer)
    refused = deployment.analytics.refusal()
    expected = "The connection document is of version 2; this root understands version 1"
    return wrong((expected in refused.replace("│ ", ""),
                  f"refused for another reason: {refused[-1500:]}"))


@scenario
def changes_by_hand_are_seen_and_mended(worlds):
    deployment = worlds.fork()

    def meddle(records):
        for key, record in list(records.items()):
            if key.startswith("aws_dynamodb_table/") and key.endswith("-aggregates"):
                record["attributes"]["ttl"] = []
            if key.startswith("aws_vpc_security_group_ingress_rule/") and record["attributes"]["from_port"] == 9096:
                del records[key]
    deployment.stream.workspace.change_by_hand(ANALYTICS_ACCOUNT, meddle)
    seen = deployment.analytics.changes() or ""
    deployment.analytics.apply()
    return wrong(("ttl" in seen and "aws_vpc_security_group_ingress_rule.client" in seen, f"not seen:\n{seen[-2000:]}"),
                 (deployment.analytics.changes() is None, "the apply did not mend it"))


@scenario
def a_broker_that_moved_is_followed_by_the_next_apply(worlds):
    """broker_addresses follows within a minute; an apply in between must lead to the same place, not undo it."""
    deployment = worlds.fork()

    def move(records):
        for key, record in records.items():
            if key.startswith("aws_msk_cluster/"):
                record["hidden"]["brokers"][0]["address"] = "10.1.1.77"
    deployment.stream.workspace.change_by_hand(STREAM_ACCOUNT, move)
    deployment.stream.apply()
    targets = {a["target_id"] for a in deployment.stream.of_type("aws_lb_target_group_attachment")}
    return wrong(("10.1.1.77" in targets and len(targets) == 3, f"the targets did not follow the broker: {targets}"),
                 (deployment.stream.changes() is None, "stream is not stable"))


@scenario
def protected_things_are_not_destroyed(worlds):
    deployment = worlds.fork()
    deployment.analytics.apply(deletion_protection=True)
    deployment.stream.apply(deletion_protection=True)
    tables, balancers = deployment.analytics.refusal("destroy"), deployment.stream.refusal("destroy")
    return wrong(("deletion_protection_enabled is on" in tables, f"tables: {tables[-800:]}"),
                 ("enable_deletion_protection is on" in balancers, f"load balancers: {balancers[-800:]}"))


@scenario
def another_account_is_refused(worlds):
    """allowed_account_ids: credentials of the wrong account change nothing."""
    deployment = worlds.shared()
    refused = deployment.stream.refusal("plan", account_id=OTHER_ACCOUNT)
    return wrong(("AWS account ID not allowed: 111111111111" in refused, refused[-800:]))


@scenario
def everything_is_tagged(worlds):
    deployment = worlds.shared()
    for root in (deployment.stream, deployment.analytics):
        for resource, instance in root.resources():
            tags = instance["attributes"].get("tags_all")
            if resource["mode"] == "managed" and "tags_all" in instance["attributes"] and (
                    not tags or tags.get("application") != "telemetry"):
                return f"{resource.get('module', '')}.{resource['type']}.{resource['name']} has tags {tags}"
    template = deployment.stream.of_type("aws_launch_template")[0]
    untagged = [started["resource_type"] for started in template["tag_specifications"]
                if started["tags"].get("application") != "telemetry"]
    return wrong((not untagged, f"what the sensors' template starts is not tagged: {untagged}"))


@scenario
def nothing_but_named_ports_leaves(worlds):
    """Every egress rule names a port and a group or prefix list; no group is open to an address range."""
    for path in PATHS:
        deployment = worlds.shared(path)
        for root in (deployment.stream, deployment.analytics):
            for rule in root.of_type("aws_vpc_security_group_egress_rule"):
                if rule["cidr_ipv4"] or rule["cidr_ipv6"] or rule["ip_protocol"] != "tcp":
                    return f"{root.folder}: egress by address: {rule['description']} {rule['cidr_ipv4']}"
            for rule in root.of_type("aws_vpc_security_group_ingress_rule"):
                if rule["cidr_ipv4"] == "0.0.0.0/0" or rule["ip_protocol"] != "tcp":
                    return f"{root.folder}: ingress from everywhere: {rule['description']}"
            for group in root.of_type("aws_security_group"):
                if group["ingress"] or group["egress"]:
                    return f"{root.folder}: {group['name']} has rules written into it"
            if root.of_type("aws_nat_gateway"):
                return f"{root.folder}: there is a NAT gateway"
    return None


@scenario
def long_running_consumers_get_a_way(worlds):
    """Their group is opened towards the brokers and an endpoint for secrets, and let in there, on either path; nothing
    else changes."""
    made = {"endpoint_per_broker": "module.broker_entry[0].aws_vpc_security_group_{}_rule.client[\"daemon 9096\"]",
            "multi_vpc": "aws_vpc_security_group_{}_rule.connection_client[\"daemon\"]"}
    for path in PATHS:
        _, plan = worlds.shared(path).analytics.command("plan", "-no-color", "-state=telemetry.tfstate",
                                                        client_security_group_ids={"daemon": "sg-0123456789abcdef0"})
        missing = [made[path].format(way) for way in ("ingress", "egress") if made[path].format(way) not in plan]
        for thing in ("endpoint.interface[\"secretsmanager\"]",
                      "security_group_ingress_rule.interface_endpoints[\"daemon\"]",
                      "security_group_egress_rule.interface_endpoints[\"daemon\"]"):
            missing += [] if f"module.network.aws_vpc_{thing}" in plan else [thing]
        if missing or "Plan: 6 to add, 0 to change, 0 to destroy" not in plan:
            return f"{path}: not made: {missing}\n{plan[-1500:]}"
    return None


README_BLOCK = re.compile(r"<!-- run: (stream|analytics) -->\n```sh\n(.*?)```", re.S)


@scenario
def the_readme_leads_through(worlds):
    """Its commands, as they stand there, from the first apply to the last destroy."""
    workspace = worlds.empty()
    folder = workspace.folder
    for package, place in ((workspace.function_package, "build/lambda/culvert-lambda.zip"),
                           (workspace.program_package, "build/infra/culvert.tar.gz")):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package, folder / place)
    shim = folder / "bin"
    shim.mkdir()
    (shim / "tofu").symlink_to(worlds.toolchain.binary())
    blocks = README_BLOCK.findall((INFRA / "README.md").read_text())
    values = {}
    for root, commands in blocks:
        environment = {**workspace.environment(None), **values, "PATH": f"{shim}:/usr/bin:/bin",
                       "TF_CLI_ARGS_apply": "-auto-approve -no-color", "TF_CLI_ARGS_destroy": "-auto-approve -no-color"}
        result = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=folder, env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
        if result.returncode != 0:
            return f"{root}: {commands}\n{result.stdout[-4000:]}"
        values.update(copied_by_hand(workspace, root))
    left = [key for account in (STREAM_ACCOUNT, ANALYTICS_ACCOUNT) for key in workspace.account(account)["records"]]
    return wrong((len(blocks) == 6, f"the README has {len(blocks)} blocks to run"), (not left, f"left: {left}"))


def copied_by_hand(workspace, root):
    """What a reader carries from one account to the other."""
    _, output = workspace.tofu(f"accounts/{root}", "output", "-json")
    outputs = {name: x["value"] for name, x in json.loads(output).items()}
    if root == "analytics":
        return {"ACCEPTED_ENDPOINTS": json.dumps(outputs.get("accepted_endpoints", {}))}
    return {"CONNECTION_SECRET_ARN": outputs.get("connection_secret_arn", ""),
            "CREDENTIALS_SECRET_ARN": outputs.get("credentials_secret_arn", "")}


@scenario
def the_sensors_first_start_is_a_script(worlds):
    """As the launch template carries it: shell that parses, a unit that keeps its lines, no secret."""
    template = worlds.shared().stream.of_type("aws_launch_template")[0]
    script = base64.b64decode(template["user_data"]).decode()
    parsed = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=30)
    unit = re.search(r"<<'UNIT'\n(.*?)\nUNIT\n", script, re.S)
    sections = re.findall(r"^\[(\w+)\]$", unit[1], re.M) if unit else []
    return wrong((parsed.returncode == 0, parsed.stderr),
                 (sections == ["Unit", "Service", "Install"], f"the unit has the sections {sections}"),
                 ("${" not in script, "a placeholder was left"))
