import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.gateway.conftest import TOKEN
from tests.gateway.webhooks import alert, webhook

COMMAND = [sys.executable, "-m", "aegis_flows.gateway"]


def environment(home: Path, **extra: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "AEGIS_"))}
    return inherited | {"PREFECT_HOME": str(home), "PREFECT_PROFILES_PATH": str(home / "profiles.toml")} | extra


@pytest.mark.parametrize(
    ("extra", "missing"),
    [
        ({"PREFECT_API_URL": "http://127.0.0.1:1/api"}, "AEGIS_GATEWAY_TOKEN"),
        ({"AEGIS_GATEWAY_TOKEN": "  "}, "AEGIS_GATEWAY_TOKEN"),
        ({"AEGIS_GATEWAY_TOKEN": TOKEN}, "PREFECT_API_URL"),
    ],
)
def test_it_does_not_start_without_what_it_needs(tmp_path: Path, extra: dict[str, str], missing: str) -> None:
    """One sentence that names the variable, exit code 2."""
    done = subprocess.run(
        [*COMMAND, "--port", "1"],
        env=environment(tmp_path, **extra),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert missing in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_serves_and_stops(tmp_path: Path, prefect_api: str, group: str) -> None:
    """The process takes an alert over the wire and is gone within 2 s of SIGTERM."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = environment(tmp_path, AEGIS_GATEWAY_TOKEN=TOKEN, PREFECT_API_URL=prefect_api)
    process = subprocess.Popen([*COMMAND, "--port", str(port)], env=variables, cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=7)) as client:
            answer = client.post(
                "/alerts", json=webhook(group, alert("Watchdog")), headers={"Authorization": f"Bearer {TOKEN}"}
            )
            assert answer.json() == {"runs": [], "unhandled": ["Watchdog"]}
            asked = time.monotonic()
            process.send_signal(signal.SIGTERM)
            log = process.communicate(timeout=10)[1].decode()
        assert time.monotonic() - asked < 2
        assert process.returncode == -signal.SIGTERM
        assert "delivery status=200" in log
        assert "HTTP Request" not in log
        assert "Traceback" not in log
    finally:
        process.kill()
        process.wait()
