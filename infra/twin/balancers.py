# SPDX-License-Identifier: Apache-2.0
"""A private link with its load balancer: HAProxy with a leg in each network, which carries TCP and nothing else.

Flow    Link -> [configuration_of] -> haproxy, one process per link.
Owner   the supervisor starts it again when its link has changed; others keep their connections.
Bounds  no address of one network exists in the other: HAProxy opens each socket in the namespace that it is for.
        A balancer without a healthy target goes on trying all of them, as AWS's does.
See     HAProxy's manual: bind and server, `namespace`; source.
"""

CONNECT_SECONDS = 5
CONNECTIONS_MOST = 1000


def configuration_of(link, entry_namespace, exit_namespace):
    """HAProxy's configuration, or None where nothing listens."""
    if link.closed_because or link.port is None:
        return None
    lines = ["global", f"  maxconn {CONNECTIONS_MOST}", "  log stdout format raw local0 info",
             "defaults", "  mode tcp", "  log global", "  option dontlognull", f"  timeout connect {CONNECT_SECONDS}s",
             f"  timeout client {link.idle_seconds}s", f"  timeout server {link.idle_seconds}s",
             f"frontend {link.name}"]
    lines += [f"  bind {address}:{link.port} namespace {entry_namespace}" for address in link.entry]
    if link.sources_let_in is not None:
        allowed = f"{{ src {' '.join(link.sources_let_in)} }}" if link.sources_let_in else "{ always_false }"
        lines.append(f"  tcp-request connection silent-drop unless {allowed}")
    lines += ["  default_backend targets", "backend targets", f"  source {link.source}", "  option allbackups"]
    interval, rise, fall = link.check
    for address, port in link.targets:
        place = f"{address}:{port} namespace {exit_namespace}"
        lines.append(f"  server {address} {place} check inter {interval}s rise {rise} fall {fall}")
        lines.append(f"  server {address}-unhealthy {place} backup")
    return "\n".join(lines) + "\n"
