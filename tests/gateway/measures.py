"""What a gateway's process holds, as the kernel tells it."""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

from servers import Gateway, eventually


def sockets(gateway: Gateway) -> int:
    """Open sockets of the gateway's process."""
    found = 0
    for entry in Path(f"/proc/{gateway.process.pid}/fd").iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except FileNotFoundError:  # closed since it was listed
            continue
    return found


def megabytes(gateway: Gateway) -> float:
    """Memory of the gateway's process that is not swapped out."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
    return int(kilobytes) / 1024


async def until(look: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait, without holding up this loop, until it is so."""
    await asyncio.to_thread(eventually, look, seconds)


def cpu_seconds(gateway: Gateway) -> float:
    """CPU time that the gateway's process has taken so far."""
    stat = Path(f"/proc/{gateway.process.pid}/stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
