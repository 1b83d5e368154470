"""S3, KMS, IAM and STS of the lab: moto's server with the rules of `aws_rules` added; state lives in memory.

IAM is not enforced until `POST /moto-api/reset-auth` with body `0` (see `identities`).
"""

import argparse
import logging
import signal
import sys
from types import FrameType

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from aegis_flows.lab import aws_rules


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m aegis_flows.lab.aws", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    serve(parser.parse_args().port)


def serve(port: int) -> None:
    """Serves on 127.0.0.1 until SIGTERM or SIGINT, each request in a thread; a port in use ends the process."""
    aws_rules.install()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # one line per request would bury everything else
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler)
    print(f"aws: listening on http://127.0.0.1:{server.port}", flush=True)
    server.serve_forever()


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
