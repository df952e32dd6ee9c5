# SPDX-License-Identifier: Apache-2.0
"""What has been applied: both roots' resources, and what AWS would know of them that no resource shows.

Flow    tofu show -json, cloud folder -> [Applied] -> topology.py.
Owner   supervisor.py reads it anew after each change; nobody keeps one.
Bounds  the state is what was applied; the cloud adds only network interfaces' addresses, secrets' texts, and what other
        programs than an apply change: where a broker is at the moment, and which targets are registered.
See     infra/twin/provider/README.md: the cloud.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib


@dataclasses.dataclass(frozen=True)
class Resource:
    root: str        # stream or analytics
    address: str     # as tofu shows it
    kind: str
    values: dict

    def __getitem__(self, name):
        return self.values[name]

    def block(self, *names):
        """A block that occurs at most once, or the one inside it: {} if it is not there."""
        found = self.values
        for name in names:
            blocks = found.get(name) or [{}]
            found = blocks[0] if isinstance(blocks, list) else blocks
        return found


def resources_of(root, shown):
    """Every managed resource of a `show -json`, whatever module it is in."""
    modules = [shown.get("values", {}).get("root_module", {})]
    while modules:
        module = modules.pop()
        modules += module.get("child_modules", [])
        for resource in module.get("resources", []):
            if resource["mode"] == "managed":
                yield Resource(root, resource["address"], resource["type"], resource["values"])


class Applied:
    def __init__(self, states, cloud):
        """states: root name -> `show -json`; cloud: the provider's folder."""
        self.outputs = {root: {name: x["value"] for name, x in shown.get("values", {}).get("outputs", {}).items()}
                        for root, shown in states.items()}
        self._by_kind = {}
        for root, shown in states.items():
            for resource in resources_of(root, shown):
                self._by_kind.setdefault(resource.kind, []).append(resource)
        self.cloud = Cloud(cloud)
        self._records = self.cloud.records()

    def of_type(self, kind):
        return sorted(self._by_kind.get(kind, []), key=lambda r: (r.root, r.address))

    def one(self, kind, **wanted):
        """The resource with these attributes, or None."""
        for resource in self._by_kind.get(kind, []):
            if all(resource.values.get(name) == value for name, value in wanted.items()):
                return resource
        return None

    def all(self, kind, **wanted):
        return [r for r in self.of_type(kind) if all(r.values.get(n) == value for n, value in wanted.items())]

    def _hidden_of(self, kind, **wanted):
        for record in self._records:
            if record["type"] == kind and all(record["attributes"].get(n) == v for n, v in wanted.items()):
                return record
        return None

    def interfaces(self, owner):
        """Network interfaces that a resource owns: dicts with id, subnet_id, private_ip."""
        return sorted((r["attributes"] for r in self._records
                       if r["type"] == "eni" and r["attributes"]["owner"] == owner), key=lambda e: e["private_ip"])

    def addresses_in_use(self):
        return {r["attributes"]["private_ip"] for r in self._records if r["type"] == "eni"}

    def brokers(self, cluster_arn):
        """Where Amazon MSK has the brokers at the moment, by id: endpoint, address, subnet_id."""
        record = self._hidden_of("aws_msk_cluster", arn=cluster_arn)
        brokers = record["hidden"]["brokers"] if record else []
        return {str(int(b["broker_id"])): b for b in sorted(brokers, key=lambda b: b["broker_id"])}

    def targets(self, group_arn):
        """What is registered at the moment: by an apply, or by a program."""
        return sorted({(r["attributes"]["target_id"], int(r["attributes"]["port"])) for r in self._records
                       if r["type"] == "aws_lb_target_group_attachment"
                       and r["attributes"]["target_group_arn"] == group_arn})

    def secret(self, arn):
        """The text of a secret's current version; no state has it."""
        record = self._hidden_of("aws_secretsmanager_secret", arn=arn)
        current = (record or {}).get("hidden", {}).get("current")
        return current["secret_string"] if current else None

    def account_of(self, root):
        for vpc in self.of_type("aws_vpc"):
            if vpc.root == root:
                return vpc["owner_id"]
        return None

    @property
    def region(self):
        return self.of_type("aws_vpc")[0]["region"]


class Cloud:
    """The provider's folder, read and changed under its own lock."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    @contextlib.contextmanager
    def _locked(self, how):
        with open(self.folder / "lock", "a+", encoding="ascii") as lock:
            fcntl.flock(lock, how)
            yield

    def _files(self):
        return sorted(self.folder.glob("[0-9]*.json"))

    def records(self):
        with self._locked(fcntl.LOCK_SH):
            return [r for path in self._files() for r in json.loads(path.read_text())["records"].values()]

    def version(self):
        """Changes when anything in the folder does."""
        return tuple((path.name, path.stat().st_mtime_ns, path.stat().st_ino) for path in self._files())

    def change(self, edit):
        """Runs edit(records by key, account id) over each account, and keeps what it returns true for."""
        with self._locked(fcntl.LOCK_EX):
            for path in self._files():
                account = json.loads(path.read_text())
                if edit(account["records"], account["account"]):
                    scratch = path.with_suffix(".json.new")
                    scratch.write_text(json.dumps(account, indent=1) + "\n")
                    os.replace(scratch, path)


def read(folder):
    """The twin's own copy of both states, as `apply` left them, and its cloud."""
    states = {path.stem: json.loads(path.read_text()) for path in sorted((folder / "states").glob("*.json"))}
    return Applied(states, folder / "cloud")
