# SPDX-License-Identifier: Apache-2.0
"""Every IAM policy as it is applied, against the list of calls that are really made (program_calls.json).

Flow    roots.Worlds -> states of both roots -> [policy] -> findings.
Bounds  understands what the modules write: Allow statements with actions and resources; anything else is a finding.
"""

import json
import re

from roots import PATHS, wrong, worlds_of
from toolchain import HERE, INFRA

# Statements of resource policies that may name no narrower resource or action, since the resource is the key itself.
KEY_TYPE = "aws_kms_key"
RESOURCE_POLICIES = {
    KEY_TYPE: "policy", "aws_secretsmanager_secret_policy": "policy", "aws_msk_cluster_policy": "policy",
    "aws_sns_topic_policy": "policy", "aws_s3_bucket_policy": "policy",
}


def run(toolchain, report, names, infra=INFRA):
    calls = json.loads((HERE / "program_calls.json").read_text())
    worlds = worlds_of(toolchain, infra)
    for path in names or PATHS:
        deployment = worlds.shared(path)
        for name, root in (("stream", deployment.stream), ("analytics", deployment.analytics)):
            state = State(root, path)
            for role in state.of_type("aws_iam_role"):
                report.timed(f"{path}: {name}: {role}", lambda: role_problem(state, name, role, calls, path))
            report.timed(f"{path}: {name}: policies of resources", lambda: resource_policy_problem(state, root.account))
            report.timed(f"{path}: {name}: who may assume roles", lambda: trust_problem(state, root.account))
        for listed in calls["printed_policies"]:
            report.timed(f"{path}: {listed['root']}: output {listed['output']}",
                         lambda: printed_policy_problem(deployment, listed, path))
        report.timed(f"{path}: every listed role is there", lambda: missing_roles(deployment, calls, path))
        if path == "endpoint_per_broker":
            report.timed(f"{path}: analytics: policies of endpoints", lambda: endpoint_problem(worlds, calls, path))


class State:
    """A root's state by address, as program_calls.json writes addresses: keys without quotes."""

    def __init__(self, root, path):
        self.path = path
        self.inputs = root.variables
        self.by_address = {}
        for resource, instance in root.resources():
            if resource["mode"] != "managed":
                continue
            key = instance.get("index_key")
            index = "" if key is None else f"[{key}]"
            module = resource["module"] + "." if "module" in resource else ""
            self.by_address[f"{module}{resource['type']}.{resource['name']}{index}"] = (resource["type"],
                                                                                       instance["attributes"])

    def of_type(self, kind):
        return sorted(address for address, (typ, _) in self.by_address.items() if typ == kind)

    def attributes(self, address):
        return self.by_address[address][1]

    def values(self, reference):
        """The values of address.attribute; [*] stands for every instance."""
        address, attribute = reference.rsplit(".", 1)
        pattern = re.escape(address).replace(r"\[\*\]", r"\[[^\]]+\]")
        found = [attributes[attribute] for known, (_, attributes) in self.by_address.items()
                 if re.fullmatch(pattern, known)]
        if not found:
            raise KeyError(f"program_calls.json: the state has no {address}")
        return found

    def expand(self, on):
        """The ARNs that an `on` of program_calls.json stands for."""
        if on in ("connection_secret", "credentials_secret"):
            return [self.inputs[on + "_arn"]]
        if on in ("cluster", "topic", "group", "client_group"):
            cluster = self.values("aws_msk_vpc_connection.cluster[0].target_cluster_arn")[0]
            name = self.values("module.stream_function.aws_lambda_function.this.function_name")[0]
            return {"cluster": [cluster], "topic": [cluster.replace(":cluster/", ":topic/") + "/telemetry"],
                    "group": [cluster.replace(":cluster/", ":group/") + f"/culvert-{name}"],
                    "client_group": [cluster.replace(":cluster/", ":group/") + "/culvert-consume"]}[on]
        reference = re.search(r"\{([^}]+)\}", on)
        if not reference:
            return [on]
        return [on.replace(reference[0], value) for value in self.values(reference[1])]


def as_list(x):
    return x if isinstance(x, list) else [x]


def granted_by(policy, further=()):
    """(action, resource) pairs, or what cannot be judged; `further` parts of a statement may be there."""
    pairs = set()
    for statement in as_list(json.loads(policy)["Statement"]):
        unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition", *further}
        if unknown or statement["Effect"] != "Allow":
            what = sorted(unknown) or statement["Effect"]
            raise ValueError(f"statement {statement.get('Sid')}: {what} is not expected")
        pairs |= {(action, resource) for action in as_list(statement["Action"])
                  for resource in as_list(statement["Resource"])}
    return pairs


def role_problem(state, root, role, calls, path):
    listed = [r for r in calls["roles"] if r["root"] == root and r["role"] == role]
    if not listed:
        return f"program_calls.json does not know {role} of the {root} root"
    granted = set()
    for address in state.of_type("aws_iam_role_policy"):
        policy = state.attributes(address)
        if policy["role"] == state.attributes(role)["name"]:
            granted |= granted_by(policy["policy"])
    problems = differences(granted, expected_of(listed[0], state, path))
    for action, arn in sorted(granted):
        if "*" in action:
            problems.append(f"wildcard action: {action}")
        if arn == "*" and action not in calls["without_a_resource"]:
            problems.append(f"on every resource: {action}")
    if state.attributes(role).get("managed_policy_arns"):
        problems.append("has managed policies")
    return "\n".join(problems) or None


def expected_of(listed, state, path):
    return {(call["action"], arn) for call in listed["calls"] if path in call.get("paths", PATHS)
            for arn in state.expand(call["on"])}


def differences(granted, expected):
    problems = [f"denied, but the program calls it: {action} on {arn}" for action, arn in sorted(expected - granted)]
    return problems + [f"allowed, but nobody calls it: {action} on {arn}" for action, arn in sorted(granted - expected)]


def printed_policy_problem(deployment, listed, path):
    """A policy that a root prints for a role of somebody else's."""
    root = deployment.stream if listed["root"] == "stream" else deployment.analytics
    policy = root.outputs()[listed["output"]]
    problems = differences(granted_by(policy), expected_of(listed, State(root, path), path))
    for statement in json.loads(policy)["Statement"]:
        narrowed = "kms:EncryptionContext:SecretARN" in str(statement.get("Condition"))
        if "*" in str(statement["Resource"]) and not narrowed:
            problems.append(f"{statement['Sid']}: a wildcard that no condition narrows")
    return "\n".join(problems) or None


CLIENT_GROUP = "sg-0123456789abcdef0"


def endpoint_problem(worlds, calls, path):
    """Everything that asks for an endpoint at once: each carries what is called by it on what it is called on."""
    deployment = worlds.fork(path)

    def add_group(records):
        like = next(r for r in records.values() if r["type"] == "aws_security_group")
        attributes = {**like["attributes"], "id": CLIENT_GROUP, "name": "clients", "arn":
                      like["attributes"]["arn"].rpartition("/")[0] + "/" + CLIENT_GROUP}
        records[f"aws_security_group/{CLIENT_GROUP}"] = {**like, "id": CLIENT_GROUP, "attributes": attributes}
    deployment.analytics.workspace.change_by_hand(deployment.analytics.account, add_group)
    deployment.analytics.apply(client_security_group_ids={"daemon": CLIENT_GROUP}, poller={"mode": "on_demand"})
    state, problems, granted = State(deployment.analytics, path), [], set()
    services = [e for e in deployment.analytics.of_type("aws_vpc_endpoint")
                if e["vpc_endpoint_type"] == "Interface" and ".vpce." not in e["service_name"]]
    for endpoint in services:
        if not endpoint["policy"]:
            problems.append(f"{endpoint['service_name']} has no policy: it carries every call of every account")
            continue
        granted |= granted_by(endpoint["policy"], further=["Principal"])
    problems += differences(granted, expected_of(calls["endpoints"][0], state, path))
    groups = {group for endpoint in services for group in endpoint["security_group_ids"]}
    for rule in deployment.analytics.of_type("aws_vpc_security_group_ingress_rule"):
        if rule["security_group_id"] in groups and not rule["referenced_security_group_id"]:
            problems.append(f"{rule['description']}: endpoints are open to {rule['cidr_ipv4']}, not to named groups")
    if len(services) != 3:
        problems.append(f"there are {len(services)} endpoints of services, not 3")
    return "\n".join(problems) or None


def resource_policy_problem(state, account):
    problems = []
    for kind, attribute in RESOURCE_POLICIES.items():
        for address in state.of_type(kind):
            for statement in json.loads(state.attributes(address)[attribute])["Statement"]:
                where = f"{address}: statement {statement.get('Sid', '(without a Sid)')}"
                problems += [f"{where}: {text}" for text in statement_problems(kind, statement, account)]
    return "\n".join(problems) or None


def statement_problems(kind, statement, account):
    if statement["Effect"] == "Deny":
        return
    principals = statement["Principal"]
    named = ["*"] if principals == "*" else [p for values in principals.values() for p in as_list(values)]
    own_root = named == [f"arn:aws:iam::{account}:root"]
    if "*" in named:
        yield "is open to everybody"
    for action in as_list(statement["Action"]):
        if "*" in action and not (kind == KEY_TYPE and own_root) and not re.fullmatch(
                r"kms:(GenerateDataKey|ReEncrypt)\*", action):
            yield f"wildcard action {action}"
    if kind != KEY_TYPE and "*" in as_list(statement["Resource"]):
        yield "resource *"
    foreign = any(not n.startswith(f"arn:aws:iam::{account}:") for n in named)
    if kind == KEY_TYPE and foreign and "Condition" not in statement and "Service" not in principals:
        yield "lets another account use the key for anything, not only through one service"


# Services that act for whoever names their role: the account must be pinned (the confused deputy).
PINNED = {"lambda.amazonaws.com", "scheduler.amazonaws.com", "vpc-flow-logs.amazonaws.com"}


def trust_problem(state, account):
    for address in state.of_type("aws_iam_role"):
        for statement in json.loads(state.attributes(address)["assume_role_policy"])["Statement"]:
            services = set(as_list(statement["Principal"].get("Service", [])))
            pinned = statement.get("Condition", {}).get("StringEquals", {}).get("aws:SourceAccount")
            problem = wrong((set(statement["Principal"]) == {"Service"},
                             f"{address}: assumed by {statement['Principal']}"),
                            (not services & PINNED or pinned == account,
                             f"{address}: {services} may assume it for any account"))
            if problem:
                return problem
    return None


def missing_roles(deployment, calls, path):
    missing = []
    for listed in calls["roles"]:
        root = deployment.stream if listed["root"] == "stream" else deployment.analytics
        if path in listed.get("paths", PATHS) and listed["role"] not in State(root, path).by_address:
            missing.append(f"{listed['root']}: {listed['role']}")
    return "not applied: " + ", ".join(missing) if missing else None
