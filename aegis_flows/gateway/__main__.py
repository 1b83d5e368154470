"""`python -m aegis_flows.gateway --port 8080`: the gateway as a process."""

import argparse
import logging
import os
from collections.abc import Sequence

STOPS_WITHIN = 1  # seconds for deliveries under way; Alertmanager repeats what is cut off


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m aegis_flows.gateway", description="Turns alerts into playbook runs.")
    parser.add_argument("--port", type=int, required=True, help="TCP port to listen on")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    options = parser.parse_args(arguments)
    token = os.environ.get("AEGIS_GATEWAY_TOKEN", "").strip()
    if not token:
        parser.exit(2, "The gateway needs its callers' bearer token in the environment as AEGIS_GATEWAY_TOKEN.\n")
    if not _prefect_url():
        parser.exit(2, "The gateway needs the address of Prefect's API in PREFECT_API_URL: http://HOST:4200/api.\n")
    _serve(token, options.host, options.port)


def _prefect_url() -> str | None:
    from prefect.settings import get_current_settings  # takes seconds; a refusal should not

    return get_current_settings().api.url


def _serve(token: str, host: str, port: int) -> None:
    import uvicorn

    from aegis_flows.gateway.app import create_app

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each request to Prefect
    uvicorn.run(
        create_app(token),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOPS_WITHIN,
    )


if __name__ == "__main__":
    main()
