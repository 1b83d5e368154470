"""What a person waits for before `aegis` answers, against the import that it puts off."""

import subprocess
import sys
import time
from statistics import median

RUNS = 5


def main() -> None:
    ours = [sys.executable, "-m", "aegis_flows.cli", "--help"]
    prefect = [sys.executable, "-c", "import prefect.client.orchestration"]
    pairs = [(_seconds(ours), _seconds(prefect)) for _ in range(RUNS)]
    told = f"aegis --help {median(a for a, _ in pairs):.2f} s, importing Prefect's client alone"
    print(f"{told} {median(b for _, b in pairs):.2f} s: {median(b / a for a, b in pairs):.1f} times as long")


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
