# SPDX-License-Identifier: Apache-2.0
"""Name servers: one that knows what everybody resolves, and one per network that knows its private zones.

Flow    Topology -> [configuration files] -> dnsmasq, inside the networks' namespaces.
Bounds  a name inside a private zone is answered from it alone, as Amazon's resolver does: what the zone lacks does not
        exist, even if everybody else resolves it.  Nothing is asked of the machine's own name servers.
"""

import topology

COMMON = """no-resolv
no-hosts
no-negcache
cache-size=0
bind-interfaces
user=root
pid-file=
log-facility=-
"""


def public(names):
    """Configuration of the server of public names."""
    return COMMON + f"listen-address={topology.PUBLIC_RESOLVER}\nlocal=/#/\n" + _records(names.items())


def private(network):
    """Configuration of a network's resolver."""
    text = COMMON + f"listen-address={network.resolver}\nserver={topology.PUBLIC_RESOLVER}\n"
    for zone in network.zones:
        text += f"local=/{zone.name}/\n" + _records(zone.records)
    return text


def _records(records):
    return "".join(f"host-record={name},{address}\n" for name, addresses in records for address in addresses)
