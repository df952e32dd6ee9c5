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
        report.timed(f"{path}: every listed role is there", lambda: missing_roles(deployment, calls, path))


class State:
    """A root's state by address, as program_calls.json writes addresses: keys without quotes."""

    def __init__(self, root, path):
        self.path = path
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
        if on in ("cluster", "topic", "group"):
            cluster = self.values("aws_msk_vpc_connection.cluster[0].target_cluster_arn")[0]
            name = self.values("module.stream_function.aws_lambda_function.this.function_name")[0]
            return {"cluster": [cluster], "topic": [cluster.replace(":cluster/", ":topic/") + "/telemetry"],
                    "group": [cluster.replace(":cluster/", ":group/") + f"/culvert-{name}"]}[on]
        reference = re.search(r"\{([^}]+)\}", on)
        if not reference:
            return [on]
        return [on.replace(reference[0], value) for value in self.values(reference[1])]


def as_list(x):
    return x if isinstance(x, list) else [x]


def granted_by(policy):
    """(action, resource) pairs, or what cannot be judged."""
    pairs = set()
    for statement in as_list(json.loads(policy)["Statement"]):
        unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
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
    expected = {(call["action"], arn) for call in listed[0]["calls"] if path in call.get("paths", PATHS)
                for arn in state.expand(call["on"])}
    problems = [f"denied, but the program calls it: {action} on {arn}" for action, arn in sorted(expected - granted)]
    problems += [f"allowed, but nobody calls it: {action} on {arn}" for action, arn in sorted(granted - expected)]
    for action, arn in sorted(granted):
        if "*" in action:
            problems.append(f"wildcard action: {action}")
        if arn == "*" and action not in calls["without_a_resource"]:
            problems.append(f"on every resource: {action}")
    if state.attributes(role).get("managed_policy_arns"):
        problems.append("has managed policies")
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
