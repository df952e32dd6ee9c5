#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the consumer's way to its router bad: packets come late, and some not at all.

    impairment.py HOST-NAMESPACE ROUTER-NAMESPACE ADDRESS BLOCK DELAY_MS JITTER_MS LOSS_PERCENT

Flow    consumer -> TUN -> [relay: waits] -> TUN -> router, and back; the router's nftables drops by chance.
Owner   the supervisor, for as long as `twin.py impair` says so.
Bounds  at most QUEUE_MOST packets wait; more are dropped, as a real queue does.  When it ends, its interfaces go, and
        with them the routes that led through it: the way is as it was.
See     Documentation/networking/tuntap.rst of Linux.
"""

import fcntl
import heapq
import ipaddress
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time

import namespaces

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_BYTES_MOST = 65536
QUEUE_MOST = 20_000
DEVICE = "impaired"
# Better than the cable's own route (network.py), and gone with the interface.
METRIC = 10


def tun(namespace):
    """A layer 3 interface in a namespace, as a file of this process."""
    with namespaces.inside(namespace):
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    return file


def ip(namespace, *words):
    subprocess.run(["ip", "-n", namespace, *words], check=True, timeout=10)


def lose(router, address, percent):
    """Both directions, at the router."""
    most = int(percent * 100)
    rules = "table inet impairment\ndelete table inet impairment\n"
    if most:
        rules += ("table inet impairment { chain forward { type filter hook forward priority -200;\n"
                  + "".join(f"ip {side} {address} numgen random mod 10000 < {most} counter drop\n"
                            for side in ("saddr", "daddr")) + "}\n}\n")
    subprocess.run(["ip", "netns", "exec", router, "nft", "-f", "-"], input=rules, text=True, check=True, timeout=10)


def relay(left, right, delay, jitter):
    queue, number = [], 0
    while True:
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            _, _, target, packet = heapq.heappop(queue)
            try:
                os.write(target, packet)
            except OSError as error:   # the interface's queue is full, or it is going down
                print(f"impairment: a packet is lost: {error}", flush=True)
        wait = max(0.0, queue[0][0] - now) if queue else None
        for source in select.select([left, right], [], [], wait)[0]:
            packet = os.read(source, PACKET_BYTES_MOST)
            if len(queue) < QUEUE_MOST:
                due = time.monotonic() + max(0.0, random.uniform(delay - jitter, delay + jitter))
                number += 1
                heapq.heappush(queue, (due, number, right if source == left else left, packet))


def main(host, router, address, block, delay_ms, jitter_ms, loss_percent):
    left, right = tun(host), tun(router)
    for namespace in (host, router):
        ip(namespace, "link", "set", DEVICE, "up")
    for half in ipaddress.ip_network(block).subnets(1):   # more specific than the route to the whole
        ip(host, "route", "add", str(half), "dev", DEVICE, "src", address)
    ip(router, "route", "add", f"{address}/32", "dev", DEVICE, "metric", str(METRIC))
    lose(router, address, float(loss_percent))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        print("impairment: on", flush=True)
        relay(left, right, float(delay_ms) / 1000, float(jitter_ms) / 1000)
    finally:
        lose(router, address, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
