"""`python -m aegis_flows.lab.search`: the OpenSearch stand-in as a process."""

import argparse

from aegis_flows.lab.loopback import HOST, serve
from aegis_flows.lab.search.app import app


def main() -> None:
    parser = argparse.ArgumentParser(prog="aegis_flows.lab.search", description="An OpenSearch node in memory.")
    parser.add_argument("--port", type=int, required=True)
    flags = parser.parse_args()
    print(f"search: http://{HOST}:{flags.port}/", flush=True)
    serve(app(), flags.port)


if __name__ == "__main__":
    main()
