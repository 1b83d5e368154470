"""One connection through a node port: bytes both ways until the pod has said everything."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

_CHUNK = 65536  # bytes

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(client: socket.socket, to_pod: Callable[[], Awaitable[Streams]]) -> None:
    """Relay a client's connection; it is reset if no pod can be reached."""
    reader, writer = await asyncio.open_connection(sock=client)
    try:
        pod_reader, pod_writer = await to_pod()
    except OSError:
        writer.transport.abort()
        return
    forward = asyncio.create_task(_pump(reader, pod_writer))
    try:
        await _pump(pod_reader, writer)
    finally:
        forward.cancel()
        pod_writer.close()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
