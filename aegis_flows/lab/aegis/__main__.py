"""One pod of Aegis: `python -m aegis_flows.lab.aegis`, configured by its environment (see `settings`)."""

import logging
import os
import signal
import sys
from types import FrameType

import uvicorn

from aegis_flows.errors import BadInput
from aegis_flows.lab.aegis import app, settings

log = logging.getLogger("aegis")


def main() -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for chatty in ("botocore", "boto3", "urllib3", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        wanted = settings.read(os.environ)
    except BadInput as error:
        sys.exit(f"aegis: {error}")
    log.info("aegis: pod=%s starting on http://127.0.0.1:%d", wanted.pod, wanted.port)
    serve(wanted)


def serve(wanted: settings.Settings) -> None:
    # uvicorn sends itself the signal again once it has stopped: without this the pod would seem killed
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    uvicorn.run(
        app.Service(wanted).app(),
        host="127.0.0.1",
        port=wanted.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
