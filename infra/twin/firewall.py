# SPDX-License-Identifier: Apache-2.0
"""Security groups as nftables rules of a network's router.

Flow    Network -> [rules_of] -> nft -f, in the network's namespace.
Bounds  what no rule lets through is dropped and counted.  A packet must pass the sender's outbound rules and the
        receiver's inbound rules, both by address: a rule by interface alone would let forced routes through.
"""

import topology


def rules_of(network):
    """One atomic replacement of everything that the router filters."""
    egress = [_line(network, rule, "saddr", "daddr", "goto inbound") for rule in network.egress]
    inbound = [_line(network, rule, "daddr", "saddr", "accept") for rule in network.ingress]
    # A private link that is closed does not refuse: nothing answers.
    silent = [f"ip daddr {{ {', '.join(network.silent)} }} drop"] if network.silent else []
    services = topology.SERVICES_BLOCK
    return f"""table inet groups
delete table inet groups
table inet groups {{
  counter refused_outbound {{ }}
  counter refused_inbound {{ }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct state invalid drop
    goto outbound
  }}
  chain outbound {{
{_indented(egress)}
    counter name refused_outbound drop
  }}
  chain inbound {{
    ip daddr {services} accept comment "AWS services decide by policies"
{_indented(silent + inbound)}
    counter name refused_inbound drop
  }}
  chain to_services {{
    type nat hook postrouting priority srcnat;
    ip daddr {services} oifname "services" masquerade
  }}
}}
"""


def _indented(lines):
    return "\n".join(f"    {line}" for line in lines if line)


def _line(network, rule, own_side, other_side, verdict):
    own = dict(network.members).get(rule.group, ())
    if not own:
        return ""   # a group that nobody has
    ports = "" if rule.protocol == "-1" else f"{rule.protocol} dport {rule.first_port}-{rule.last_port} "
    return f"ip {own_side} {{ {', '.join(own)} }} ip {other_side} {{ {', '.join(rule.peers)} }} {ports}{verdict}"
