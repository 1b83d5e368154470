"""Tells the lab's Prefect server about the work pool and every deployment of prefect.yaml, as a user would."""

import argparse
import subprocess
import sys
from pathlib import Path

POOL = "aegis"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--repository", type=Path, required=True)
    given = arguments.parse_args()
    template = given.repository / "deployments/work-pool.json"
    pool = ["work-pool", "create", POOL, "--type", "process", "--base-job-template", str(template), "--overwrite"]
    for command in (pool, ["--no-prompt", "deploy", "--all"]):
        done = subprocess.run([sys.executable, "-m", "prefect", *command], cwd=given.repository, check=False)
        if done.returncode:
            sys.exit(f"prefect {' '.join(command)} ended with {done.returncode}; above is why.")


if __name__ == "__main__":
    main()
