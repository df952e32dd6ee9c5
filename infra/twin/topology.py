# SPDX-License-Identifier: Apache-2.0
"""What there must be on this machine, worked out of the applied state alone: networks, hosts, links, names.

Flow    Applied -> [topology_of] -> network.py, firewall.py, names.py, balancers.py, brokers.py, programs.py.
Owner   supervisor.py compares the topology it has built with the one that is wanted, and changes the difference.
Bounds  pure: no process, no namespace, no file.  Addresses that AWS would choose by itself and the state does not show
        (instances, pollers, functions) are taken from the end of their subnet.
See     infra/README.md: "The twin"; tests in infra/twin/tests.
"""

import dataclasses
import ipaddress
import re


@dataclasses.dataclass(frozen=True)
class Address:
    ip: str
    groups: tuple        # ids of its security groups
    purpose: str


@dataclasses.dataclass(frozen=True)
class Host:
    """Something with a network interface or several: a namespace of its own."""
    name: str
    addresses: tuple     # the first is the source of what it sends, but for services
    what: str
    service_source: str | None = None   # the address from which it calls AWS services


@dataclasses.dataclass(frozen=True)
class Rule:
    """One security group rule; peers are addresses or blocks."""
    group: str
    peers: tuple
    first_port: int
    last_port: int
    protocol: str


@dataclasses.dataclass(frozen=True)
class Network:
    """A VPC: a namespace that routes between its hosts as its security groups allow, and resolves names."""
    name: str            # of the root
    block: str
    gateways: tuple      # the first address of each subnet
    resolver: str
    hosts: tuple
    members: tuple       # (group id, its addresses)
    egress: tuple        # Rules
    ingress: tuple
    zones: tuple         # Zone
    reaches_services: bool
    silent: tuple        # addresses of endpoints that nobody has accepted


@dataclasses.dataclass(frozen=True)
class Zone:
    name: str
    records: tuple       # (name, addresses)


@dataclasses.dataclass(frozen=True)
class Link:
    """A private link to one load balancer: what listens in one network, and where it comes out in the other."""
    name: str
    endpoint: str
    entry_network: str
    entry: tuple         # addresses of the endpoint
    exit_network: str
    exit_host: str       # from whose namespace it goes on
    source: str          # address of the load balancer, which brokers see
    port: int | None     # None: nothing listens
    idle_seconds: int
    targets: tuple       # (address, port)
    check: tuple         # interval in seconds, rise, fall
    sources_let_in: tuple | None  # None: all, since private links are exempt from the balancer's group
    closed_because: str | None    # None: open


@dataclasses.dataclass(frozen=True)
class Broker:
    id: str
    host: str
    address: str
    subnet: str
    zone: str
    consumer_host: str         # by which consumers of the other account know it
    managed_port: int | None   # of Amazon MSK's managed connections, where they are on


MANAGED_PORTS = 14000   # broker 1 has the next one
# Amazon's resolver is at this offset of the VPC's block.
RESOLVER_OFFSET = 2


class _Addresses:
    """Gives addresses that AWS would give: free ones, from the end of a subnet, the same for the same questions."""

    def __init__(self, applied):
        self._taken = applied.addresses_in_use() | {b["address"] for cluster in applied.of_type("aws_msk_cluster")
                                                    for b in applied.brokers(cluster["arn"]).values()}
        self._blocks = {s["id"]: ipaddress.ip_network(s["cidr_block"]) for s in applied.of_type("aws_subnet")}

    def free(self, subnet):
        block = self._blocks[subnet]
        for offset in range(2, block.num_addresses - 12):
            address = str(block.broadcast_address - offset + 1)
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise ValueError(f"subnet {subnet} ({block}) has no free address")


class Topology:
    """Everything, by name.  Two topologies are compared part by part."""

    def __init__(self, applied):
        self.region = applied.region
        self.cluster = next(iter(applied.of_type("aws_msk_cluster")), None)
        self.brokers = _brokers(applied, self.cluster)
        addresses = _Addresses(applied)
        self.free_address = addresses.free
        self._hosts = {"stream": [], "analytics": []}
        self._add_hosts(applied, addresses)
        self.links = tuple(_links(applied))
        self.public_names = _public_names(applied, self.brokers)
        self.networks = {vpc.root: self._network(applied, vpc) for vpc in applied.of_type("aws_vpc")}

    def host(self, network, name):
        return next((h for h in self.networks[network].hosts if h.name == name), None)

    def link_to(self, broker, addresses):
        """The private link on which some addresses lead to a broker, else where they lead; None: nowhere."""
        links = [li for li in self.links if set(li.entry) & set(addresses)]
        own = (li for li in links if broker is not None and li.exit_host == f"broker-{broker.id}")
        return next(own, links[0] if links else None)

    # ---- hosts ----

    def _add_hosts(self, applied, addresses):
        if self.cluster:
            groups = tuple(self.cluster.block("broker_node_group_info")["security_groups"])
            for broker in self.brokers.values():
                address = Address(broker.address, groups, broker.host)
                self._hosts["stream"].append(Host(f"broker-{broker.id}", (address,),
                                                  f"broker {broker.id} in zone {broker.zone}"))
        self._add_interfaces(applied)
        for group in applied.of_type("aws_autoscaling_group"):
            self._add_fleet(applied, group, addresses)
        for mapping in applied.of_type("aws_lambda_event_source_mapping"):
            self._add_consumer(applied, mapping, addresses)

    def _add_interfaces(self, applied):
        balancers, endpoints = [], []
        for balancer in applied.of_type("aws_lb"):
            balancers += [Address(e["private_ip"], tuple(balancer["security_groups"]), balancer["name"])
                          for e in applied.interfaces(balancer["arn"])]
        for endpoint in applied.all("aws_vpc_endpoint", vpc_endpoint_type="Interface"):
            endpoints += [Address(e["private_ip"], tuple(endpoint["security_group_ids"]), endpoint["id"])
                          for e in applied.interfaces(endpoint["id"])]
        for connection in applied.of_type("aws_msk_vpc_connection"):
            endpoints += [Address(e["private_ip"], tuple(connection["security_groups"]), "managed connection")
                          for e in applied.interfaces(connection["arn"])]
        if balancers:
            self._hosts["stream"].append(Host("balancers", tuple(balancers), "load balancers"))
        if endpoints:
            self._hosts["analytics"].append(Host("endpoints", tuple(endpoints), "interface endpoints"))

    def _add_fleet(self, applied, group, addresses):
        template = applied.one("aws_launch_template", id=group.block("launch_template")["id"])
        groups = tuple(template.block("network_interfaces")["security_groups"])
        subnets = sorted(group["vpc_zone_identifier"])
        for number in range(int(group["desired_capacity"])):
            address = addresses.free(subnets[number % len(subnets)])
            self._hosts[group.root].append(Host(f"sensor-{number + 1}", (Address(address, groups, group["name"]),),
                                                "sensors", address))

    def _add_consumer(self, applied, mapping, addresses):
        """The pollers and the function, which have interfaces in the same subnets and different groups."""
        access = [(c["type"], c["uri"].split(":", 1)[-1]) for c in mapping["source_access_configuration"] or ()]
        subnets = sorted(uri for kind, uri in access if kind == "VPC_SUBNET")
        groups = tuple(uri for kind, uri in access if kind == "VPC_SECURITY_GROUP")
        if connection := managed_connection(applied, mapping):
            # The pollers of such a mapping are where the connection is, and in its group.
            subnets, groups = sorted(connection["client_subnets"]), tuple(connection["security_groups"])
        function = applied.one("aws_lambda_function", arn=mapping["function_arn"])
        if not subnets or function is None:
            return
        vpc = function.block("vpc_config")
        poller = Address(addresses.free(subnets[0]), groups, "pollers of the mapping")
        caller = Address(addresses.free(sorted(vpc["subnet_ids"])[0]), tuple(vpc["security_group_ids"]), "function")
        self._hosts[mapping.root].append(Host("consumer", (poller, caller), "event source mapping and function",
                                              caller.ip))
        default = applied.one("aws_vpc", id=applied.one("aws_subnet", id=subnets[0])["vpc_id"])
        stranger = Address(addresses.free(subnets[-1]), (default["default_security_group_id"],), "anybody else")
        self._hosts[mapping.root].append(Host("stranger", (stranger,), "an instance that no group names", stranger.ip))

    # ---- networks ----

    def _network(self, applied, vpc):
        subnets = applied.all("aws_subnet", vpc_id=vpc["id"])
        hosts = tuple(self._hosts.get(vpc.root, ()))
        members = {}
        for host in hosts:
            for address in host.addresses:
                for group in address.groups:
                    members.setdefault(group, []).append(address.ip)
        services = _service_blocks(applied, vpc)
        block = ipaddress.ip_network(vpc["cidr_block"])
        return Network(
            name=vpc.root, block=vpc["cidr_block"],
            gateways=tuple(str(ipaddress.ip_network(s["cidr_block"]).network_address + 1) for s in subnets),
            resolver=str(block.network_address + RESOLVER_OFFSET), hosts=hosts,
            members=tuple((group, tuple(sorted(ips))) for group, ips in sorted(members.items())),
            egress=tuple(_rules(applied, vpc, "aws_vpc_security_group_egress_rule", members, services)),
            ingress=tuple(_rules(applied, vpc, "aws_vpc_security_group_ingress_rule", members, services)),
            zones=tuple(_zones(applied, vpc)), reaches_services=bool(services),
            silent=tuple(ip for link in _links(applied) if link.closed_because and link.entry_network == vpc.root
                         for ip in link.entry))


def _brokers(applied, cluster):
    if cluster is None:
        return {}
    zones = {s["id"]: s["availability_zone"] for s in applied.of_type("aws_subnet")}
    managed = bool(cluster["bootstrap_brokers_vpc_connectivity_sasl_iam"])
    return {number: Broker(number, b["endpoint"], b["address"], b["subnet_id"], zones.get(b["subnet_id"], "?"),
                           b["endpoint"].replace(".", ".iam.", 1) if managed else b["endpoint"],
                           MANAGED_PORTS + int(number) if managed else None)
            for number, b in applied.brokers(cluster["arn"]).items()}


def managed_connection(applied, mapping):
    """The managed connection that a mapping polls through, or None."""
    arn = mapping["event_source_arn"]
    return applied.one("aws_msk_vpc_connection", arn=arn) if arn else None


# AWS's own addresses are no part of any state; the twin's services have theirs in the block for benchmarks (RFC 2544).
SERVICES_BLOCK = "198.18.0.0/24"
SERVICES_ADDRESS = "198.18.0.10"
PUBLIC_RESOLVER = "198.18.0.53"


def _service_blocks(applied, vpc):
    """Prefix lists that a gateway endpoint of this VPC opens for its private subnets: list id -> blocks."""
    associated = {a["route_table_id"] for a in applied.of_type("aws_route_table_association")}
    return {e["prefix_list_id"]: (SERVICES_BLOCK,)
            for e in applied.all("aws_vpc_endpoint", vpc_id=vpc["id"], vpc_endpoint_type="Gateway")
            if associated & set(e["route_table_ids"] or ())}


def _rules(applied, vpc, kind, members, services):
    groups = {g["id"] for k in ("aws_security_group", "aws_default_security_group")
              for g in applied.all(k, vpc_id=vpc["id"])}
    for rule in applied.of_type(kind):
        if rule["security_group_id"] not in groups:
            continue
        if rule["referenced_security_group_id"]:
            peers = tuple(sorted(members.get(rule["referenced_security_group_id"], ())))
        elif rule["prefix_list_id"]:
            peers = services.get(rule["prefix_list_id"], ())
        else:
            peers = (rule["cidr_ipv4"],) if rule["cidr_ipv4"] else ()
        first, last = (0, 65535) if rule["ip_protocol"] == "-1" else (int(rule["from_port"]), int(rule["to_port"]))
        if peers:
            yield Rule(rule["security_group_id"], peers, first, last, rule["ip_protocol"])


def _zones(applied, vpc):
    """Private zones of this VPC with what their records mean; an alias means its target's addresses."""
    targets = {}
    for endpoint in applied.all("aws_vpc_endpoint", vpc_endpoint_type="Interface"):
        for entry in endpoint["dns_entry"] or ():
            targets[entry["dns_name"].rstrip(".")] = tuple(e["private_ip"] for e in applied.interfaces(endpoint["id"]))
    for zone in applied.of_type("aws_route53_zone"):
        if vpc["id"] not in [v["vpc_id"] for v in zone["vpc"]]:
            continue
        records = []
        for record in applied.all("aws_route53_record", zone_id=zone["zone_id"]):
            aliased = [ip for a in record["alias"] or () for ip in targets.get(a["name"].rstrip("."), ())]
            records.append((record["fqdn"].rstrip("."), tuple(aliased or record["records"] or ())))
        yield Zone(zone["name"].rstrip("."), tuple(records))
    for connection in applied.all("aws_msk_vpc_connection", vpc_id=vpc["id"]):
        # Amazon MSK makes these names with the connection; no resource of a root shows them.
        ips = tuple(e["private_ip"] for e in applied.interfaces(connection["arn"]))
        for broker in _brokers(applied, applied.one("aws_msk_cluster", arn=connection["target_cluster_arn"])).values():
            yield Zone(broker.consumer_host, ((broker.consumer_host, ips),))


# Interfaces of AWS services that something of culvert calls, by the names that everybody resolves.
SERVICES = ("dynamodb", "kafka", "elasticloadbalancing", "secretsmanager")


def _public_names(applied, brokers):
    """Names that resolve everywhere: brokers (to addresses that lead nowhere from another network), services."""
    names = {b.host: (b.address,) for b in brokers.values()}
    for service in SERVICES:
        names[f"{service}.{applied.region}.amazonaws.com"] = (SERVICES_ADDRESS,)
    return names


# ---- private links ----

IDLE_SECONDS = 350   # where nothing says otherwise


def _links(applied):
    services = {s["service_name"]: s for s in applied.of_type("aws_vpc_endpoint_service")}
    for endpoint in applied.all("aws_vpc_endpoint", vpc_endpoint_type="Interface"):
        service = services.get(endpoint["service_name"])
        if service is None:
            continue   # an AWS service
        for arn in service["network_load_balancer_arns"]:
            yield _link(applied, endpoint, service, applied.one("aws_lb", arn=arn))
    for connection in applied.of_type("aws_msk_vpc_connection"):
        cluster = applied.one("aws_msk_cluster", arn=connection["target_cluster_arn"])
        for broker in _brokers(applied, cluster).values():
            yield _managed_link(applied, connection, cluster, broker)


def _managed_link(applied, connection, cluster, broker):
    """What Amazon MSK has between a managed connection and a broker is in no VPC of either account: here it comes out
    where the broker is, past the stream account's groups."""
    return Link(
        name=f"managed-{broker.id}", endpoint=f"{connection['arn'].rpartition('/')[2]}-{broker.id}",
        entry_network=connection.root, entry=tuple(e["private_ip"] for e in applied.interfaces(connection["arn"])),
        exit_network=cluster.root, exit_host=f"broker-{broker.id}", source=broker.address, port=broker.managed_port,
        idle_seconds=IDLE_SECONDS, targets=((broker.address, broker.managed_port),), check=(10, 2, 2),
        sources_let_in=None, closed_because=None)


def _link(applied, endpoint, service, balancer):
    listeners = applied.all("aws_lb_listener", load_balancer_arn=balancer["arn"])
    port, idle, targets, check = None, IDLE_SECONDS, (), (10, 2, 2)
    if listeners:
        port, idle = int(listeners[0]["port"]), int(listeners[0]["tcp_idle_timeout_seconds"] or IDLE_SECONDS)
        group_arn = listeners[0].block("default_action")["target_group_arn"]
        targets = tuple(applied.targets(group_arn))
        group = applied.one("aws_lb_target_group", arn=group_arn)
        health = group.block("health_check")
        check = (int(health.get("interval") or 30), int(health.get("healthy_threshold") or 3),
                 int(health.get("unhealthy_threshold") or 3))
    interfaces = applied.interfaces(balancer["arn"])
    return Link(
        name=_short_name(service), endpoint=endpoint["id"], entry_network=endpoint.root,
        entry=tuple(e["private_ip"] for e in applied.interfaces(endpoint["id"])), exit_network=service.root,
        exit_host="balancers",
        source=_source(applied, balancer, interfaces, targets), port=port, idle_seconds=idle, targets=targets,
        check=check, sources_let_in=_let_in(applied, balancer, port),
        closed_because=_closed(applied, endpoint, service))


def _short_name(service):
    return (service["tags"] or {}).get("Name") or service["id"]


def _source(applied, balancer, interfaces, targets):
    """With cross-zone balancing any interface reaches the target; without it, only one in the target's zone."""
    if balancer["enable_cross_zone_load_balancing"] or not targets:
        return interfaces[0]["private_ip"]
    for interface in interfaces:
        block = ipaddress.ip_network(applied.one("aws_subnet", id=interface["subnet_id"])["cidr_block"])
        if ipaddress.ip_address(targets[0][0]) in block:
            return interface["private_ip"]
    return interfaces[0]["private_ip"]


def _let_in(applied, balancer, port):
    enforced = balancer["enforce_security_group_inbound_rules_on_private_link_traffic"] == "on"
    if not enforced or not balancer["security_groups"]:
        return None
    return tuple(rule["cidr_ipv4"] for rule in applied.of_type("aws_vpc_security_group_ingress_rule")
                 if rule["security_group_id"] in balancer["security_groups"] and rule["cidr_ipv4"] and port is not None
                 and int(rule["from_port"]) <= port <= int(rule["to_port"]))


def _closed(applied, endpoint, service):
    """Why nothing goes through, or None."""
    principals = [p["principal_arn"] for p in
                  applied.all("aws_vpc_endpoint_service_allowed_principal", vpc_endpoint_service_id=service["id"])]
    principals += service["allowed_principals"] or []
    account = endpoint["owner_id"]
    if not any(p == "*" or re.match(rf"arn:aws[a-z-]*:iam::{account}:", p) for p in principals):
        return f"account {account} is not among the allowed principals of {service['id']} ({', '.join(principals)})"
    if not service["acceptance_required"]:
        return None
    accepted = applied.one("aws_vpc_endpoint_connection_accepter", vpc_endpoint_service_id=service["id"],
                           vpc_endpoint_id=endpoint["id"])
    return None if accepted else f"{endpoint['id']} waits for acceptance by {service['id']}"


def topology_of(applied):
    return Topology(applied)
