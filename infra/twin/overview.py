# SPDX-License-Identifier: Apache-2.0
"""The map: what runs where, and the hops from a sensor to the table.

Flow    Applied, Topology, status.json -> [show] -> stdout.
Bounds  says what is there by the state; hops.py says whether it works.
"""

import applied
import topology as topologies


def problems(place):
    return place.status().get("problems", [])


def show(place):
    state = applied.read(place.folder)
    topology = topologies.topology_of(state)
    status = place.status()
    for line in lines(place, state, topology, status):
        print(line)
    return 0


def lines(place, state, topology, status):
    running = {p["name"]: p["pid"] for p in status.get("processes", [])}
    yield f"twin '{place.name}' ({status.get('phase', 'not running')}), region {topology.region}"
    for network in topology.networks.values():
        account = state.account_of(network.name)
        yield ""
        yield f"{network.name} account {account}, VPC {network.block}, resolver {network.resolver}"
        for host in network.hosts:
            yield from _host_lines(place, network, host, running)
    yield ""
    yield "hops of the private path"
    names = {b.consumer_host: b for b in topology.brokers.values()}
    for zone in topology.networks["analytics"].zones:
        yield from _hop_lines(zone, topology, names)
    for text in problems(place):
        yield f"  broken: {text}"
    yield from _how_to_look(place, state, status)


def _host_lines(place, network, host, running):
    process = next((f"  pid {running[n]}" for n in running if n == host.name or n.startswith("consumer")
                    and host.name == "consumer"), "")
    first, *rest = host.addresses
    if len(rest) > 2:
        yield f"  {host.name:<10} {len(host.addresses)} addresses  {host.what}{process}"
        return
    yield f"  {host.name:<10} {first.ip:<12} {host.what}{process}"
    for address in rest:
        yield f"  {'':<10} {address.ip:<12} {address.purpose}"


def _hop_lines(zone, topology, names):
    for name, addresses in zone.records:
        broker = names.get(name)
        link = topology.link_to(broker, addresses)
        yield f"  {name if broker is None else f'broker {broker.id}: {name}'}"
        if link is None:
            yield f"    -> {', '.join(addresses)}: no endpoint of a private link"
            continue
        targets = ", ".join(f"{ip}:{port}" for ip, port in link.targets) or "no target"
        state = f"closed, {link.closed_because}" if link.closed_because else "open"
        yield f"    -> endpoint {', '.join(addresses)} ({state}) ═ balancer {link.source}:{link.port} -> {targets}"


def _how_to_look(place, state, status):
    table = state.outputs["analytics"]["tables"]["aggregates"]
    option = "" if place.name == "twin" else f" --name {place.name}"
    port = status.get("look_port")
    yield ""
    yield "look at it"
    yield f"  infra/twin/twin.py{option} query         its windows; verify, doctor and check look deeper"
    yield ("  AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x "
           f"AWS_REGION={topologies.topology_of(state).region} \\")
    yield f"    {place.program()} dashboard --table dynamodb:{table} --endpoint-url http://127.0.0.1:{port}"
    yield f"  infra/twin/twin.py{option} run consumer bash        a shell where the function is"
    yield f"  {place.folder}/logs        what every program says"
    suffix = "" if place.name == "twin" else f" TWIN={place.name}"
    yield f"stop it: make twin-down{suffix}"
