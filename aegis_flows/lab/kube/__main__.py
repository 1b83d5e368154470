"""`python -m aegis_flows.lab.kube --port P --folder STATE_DIR [--token-file F]`: serve until SIGTERM."""

import argparse
import logging
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from aegis_flows.lab.kube.cluster import Cluster
from aegis_flows.lab.kube.network.ports import HOST

_IDLE = 300  # seconds; a client that reuses a connection just as the server closes it would lose its request

log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """Ends the open watches first: uvicorn would wait for them."""

    def __init__(self, config: uvicorn.Config, cluster: Cluster) -> None:
        super().__init__(config)
        self._cluster = cluster

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        log.info("listening on http://%s:%s", HOST, self.config.port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._cluster.watches.close()
        await super().shutdown(sockets)


def main() -> None:
    options = _options()
    logging.basicConfig(level=logging.INFO, format="kube: %(message)s", stream=sys.stderr)
    # uvicorn raises the signal again after a clean stop; that is no failure
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    cluster = Cluster(options.folder.resolve(), _token(options.token_file))
    config = uvicorn.Config(
        cluster.app,
        host=HOST,
        port=options.port,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws="none",
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=1,
    )
    _Server(config, cluster).run()


def _token(file: Path | None) -> str | None:
    try:
        return file.read_text().strip() if file else None
    except OSError as error:
        sys.exit(f"kube: cannot read the token: {error}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="aegis_flows.lab.kube", description="The lab's small Kubernetes.")
    parser.add_argument("--port", type=int, required=True, help="port of the API on 127.0.0.1")
    parser.add_argument("--folder", type=Path, required=True, help="where pods' logs are kept")
    parser.add_argument("--token-file", type=Path, help="file with the bearer token that requests must carry")
    return parser.parse_args()


if __name__ == "__main__":
    main()
