"""Readiness, asked over HTTP as a kubelet asks."""

import asyncio

from aegis_flows.lab.kube.network.ports import HOST

UNTIL_READY = 0.1  # seconds between two probes of a pod that is starting
WHILE_READY = 1.0
_SUCCESS = range(200, 400)


async def answers(port: int, path: str, timeout: float) -> bool:  # noqa: ASYNC109  the probe's own field
    """Whether GET answers with 2xx or 3xx in time (seconds)."""
    try:
        async with asyncio.timeout(timeout):
            return await _status(port, path) in _SUCCESS
    except (OSError, TimeoutError, ValueError, IndexError):
        return False


async def _status(port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        head = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUser-Agent: kube-probe\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        first = await reader.readline()
        while await reader.read(65536):
            pass  # read to the end: closing on unread data would reset the connection under the server
        return int(first.split()[1])
    finally:
        writer.close()
