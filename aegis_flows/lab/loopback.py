"""How each HTTP stub of the lab listens."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

HOST = "127.0.0.1"


def serve(app: ASGIApp, port: int) -> None:
    """Serve until SIGTERM or SIGINT; open connections get one second to finish."""
    with suppress(KeyboardInterrupt):
        uvicorn.Server(_config(app, port)).run()


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The base URL of `app`, served from a thread on a free port: for what runs beside its client in one process."""
    # asyncio turns Nagle's delay off only where the protocol is named: without it each answer takes 40 ms
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind((HOST, 0))
        listener.listen()  # so that connections are taken before the server has started
        server = uvicorn.Server(_config(app, 0))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _config(app: ASGIApp, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=HOST,
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
