# SPDX-License-Identifier: Apache-2.0
"""Both accounts together, as people apply them: the stream root, the analytics root, then acceptance.

Flow    roots.py, policy.py, mistakes.py -> [Deployment] -> Workspace.
Owner   a scenario makes as many deployments as it needs; those in one workspace share one world.
Bounds  state files carry the deployment's name, so several share a root's folder.
"""

import json

from workspace import ANALYTICS_ACCOUNT, STREAM_ACCOUNT, Failed

STREAM, ANALYTICS = "accounts/stream", "accounts/analytics"


def root_principal(account):
    return f"arn:aws:iam::{account}:root"


class Root:
    """One root with its own state, in one account."""

    def __init__(self, workspace, folder, account, name, variables):
        self.workspace = workspace
        self.folder = folder
        self.account = account
        self.state_file = f"{name}.tfstate"
        self.variables = variables
        workspace.init(folder)

    def in_workspace(self, workspace):
        other = object.__new__(Root)
        other.__dict__.update(self.__dict__, workspace=workspace, variables=dict(self.variables))
        return other

    def command(self, *arguments, check=True, **variables):
        return self.workspace.tofu(self.folder, *arguments, account=self.account, check=check,
                                   variables={**self.variables, **variables})

    def apply(self, **variables):
        """Apply with further variables, which stay for the next time."""
        self.variables = {**self.variables, **variables}
        self.command("apply", "-auto-approve", "-no-color", f"-state={self.state_file}")
        return self.outputs()

    def refusal(self, command="apply", **variables):
        """The output of an apply or destroy that must fail."""
        arguments = [command, "-no-color", f"-state={self.state_file}"]
        if command != "plan":
            arguments.insert(1, "-auto-approve")
        code, output = self.command(*arguments, check=False, **variables)
        if code == 0:
            raise Failed(f"{self.folder}: {command} was expected to be refused, but went through")
        return " ".join(output.split())   # messages are wrapped: compare them without their line ends

    def destroy(self):
        self.command("destroy", "-auto-approve", "-no-color", f"-state={self.state_file}")

    def outputs(self):
        _, output = self.command("output", "-json", f"-state={self.state_file}")
        return {name: x["value"] for name, x in json.loads(output).items()}

    def changes(self):
        """What a plan would change: None, or its output."""
        code, output = self.command("plan", "-detailed-exitcode", "-no-color", f"-state={self.state_file}", check=False)
        return None if code == 0 else output

    def raw_state(self):
        return (self.workspace.infra / self.folder / self.state_file).read_text()

    def resources(self):
        """Every resource instance of the state: (address without module index, attributes, dependencies)."""
        for resource in json.loads(self.raw_state())["resources"]:
            for instance in resource["instances"]:
                yield resource, instance

    def of_type(self, kind):
        return [instance["attributes"] for resource, instance in self.resources()
                if resource["mode"] == "managed" and resource["type"] == kind]

    def dependencies_of(self, kind):
        for resource, instance in self.resources():
            if resource["mode"] == "managed" and resource["type"] == kind:
                yield resource, set(instance.get("dependencies", []))


# A managed connection needs a subnet in each zone of the cluster.
THREE_ZONES = {f"private_{zone}": {"cidr_block": f"10.0.{number}.0/24", "availability_zone": f"eu-central-1{zone}"}
               for number, zone in enumerate("abc", 1)}


class Deployment:
    """One application in a stream account and an analytics account."""

    def __init__(self, workspace, name="telemetry", consumer=ANALYTICS_ACCOUNT, principals=None, **common):
        self.name = name
        common = {"deletion_protection": False, "application_name": name, **common}
        self.stream = Root(workspace, STREAM, STREAM_ACCOUNT, name, {
            **common, "account_id": STREAM_ACCOUNT,
            "allowed_service_principal_arns": principals or [root_principal(consumer)]})
        zones = {"private_subnets": THREE_ZONES} if common.get("path") == "multi_vpc" else {}
        self.analytics = Root(workspace, ANALYTICS, consumer, name, {**common, **zones, "account_id": consumer})

    def apply(self, accept=True):
        """All three applies; returns the outputs of both roots."""
        stream = self.stream.apply()
        analytics = self.analytics.apply(**handed_over(stream))
        if not accept:
            return stream, analytics
        if analytics["accepted_endpoints"]:
            self.stream.apply(accepted_endpoints={"analytics": analytics["accepted_endpoints"]})
        return self.stream.outputs(), self.analytics.apply()

    def in_fork(self, workspace):
        """The same deployment in a fork of its workspace."""
        other = object.__new__(Deployment)
        other.name = self.name
        other.stream, other.analytics = self.stream.in_workspace(workspace), self.analytics.in_workspace(workspace)
        return other

    def destroy(self):
        self.analytics.destroy()
        self.stream.destroy()
        self.stream.variables = {**self.stream.variables, "accepted_endpoints": {}}


def handed_over(stream_outputs):
    return {"connection_secret_arn": stream_outputs["connection_secret_arn"],
            "credentials_secret_arn": stream_outputs.get("credentials_secret_arn")}
