# SPDX-License-Identifier: Apache-2.0
"""Sockets in another network namespace: a socket belongs for ever to the namespace that it was made in.

Flow    services.py, impairment.py, tests -> [namespaces] -> setns(2).
Owner   whoever asks owns the socket; the calling thread is back in its own namespace afterwards.
"""

import asyncio
import contextlib
import ctypes
import os
import socket

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _enter(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


@contextlib.contextmanager
def inside(namespace):
    """This thread is in the namespace for as long as the block runs."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        other = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            _enter(other)
        finally:
            os.close(other)
        try:
            yield
        finally:
            _enter(own)
    finally:
        os.close(own)


def listener(namespace, address, port):
    with inside(namespace):
        return socket.create_server((address, port), backlog=128)


async def connect(namespace, address, port):
    """Streams of a connection that is made inside."""
    with inside(namespace):
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (address, port))
        return await asyncio.open_connection(sock=plain)
    except BaseException:
        plain.close()
        raise
