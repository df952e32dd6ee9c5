# SPDX-License-Identifier: Apache-2.0
"""Free TCP ports that stay ours: two test runs, or two servers of one run, never get the same one.

Asking the kernel for port 0 and closing it again leaves a gap in which anybody may take the port.  So a port is
reserved by a lock on a file, held until this process ends, and lies below the range the kernel gives to clients.
"""

import fcntl
import os
import pathlib
import random
import socket
import tempfile

from .workspace import SupportError

FIRST, END = 20_000, 30_000  # half-open; clients get ports from 32768 on

_held = {}  # port -> locked file


def _directory():
    path = pathlib.Path(tempfile.gettempdir()) / f"culvert-ports-{os.getuid()}"
    path.mkdir(exist_ok=True)
    return path


def _bindable(port):
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT of an earlier test is no obstacle
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def free_port():
    """A port nobody listens on, reserved for this process."""
    start = random.SystemRandom().randrange(FIRST, END)
    for step in range(END - FIRST):
        port = FIRST + (start - FIRST + step) % (END - FIRST)
        if port in _held:
            continue
        file = open(_directory() / str(port), "w", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        if _bindable(port):
            _held[port] = file
            return port
        file.close()
    raise SupportError(f"no free port in [{FIRST}, {END})")


def free_ports(count):
    return [free_port() for _ in range(count)]


def release(*ports):
    """Gives ports back early (they are given back at the end of the process anyway)."""
    for port in ports:
        _held.pop(port).close()
