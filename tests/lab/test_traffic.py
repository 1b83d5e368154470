import itertools
import json
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aegis_flows.lab import models, traffic
from aegis_flows.lab.aegis import model, settings
from tests.lab.aws_account import process
from tests.lab.processes import free_port, wait_until


@contextmanager
def aegis(port: int, delay: float = 0) -> Iterator[list[str]]:
    """Takes prompts at /infer, and answers each after `delay` seconds; gives the prompts that came."""
    came: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["prompt"])
            time.sleep(delay)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"flagged": true}')

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield came
        server.shutdown()


def test_same_seed_same_prompts() -> None:
    """A seed repeats its prompts; another gives others."""
    first, again, other = (list(itertools.islice(traffic.prompts(seed), 200)) for seed in (1, 1, 2))
    assert first == again != other


def test_share_of_flagged_prompts(tmp_path: Path) -> None:
    """About two prompts in a hundred are flagged by the lab's own model, all with the canary for personal data."""
    signed = models.sign_models(tmp_path)
    loaded = model.load(settings.Model(signed.registry, "v1", signing_required=False, public_key=None))
    judged = [(prompt, loaded.judge(prompt)) for prompt in itertools.islice(traffic.prompts(1), 2000)]
    flagged = [judgement.reason for _prompt, judgement in judged if judgement.flagged]
    assert 20 <= len(flagged) <= 60
    assert set(flagged) == {"pii", "jailbreak", "self_harm"}
    assert all(judgement.pii == (traffic.CANARY in prompt) for prompt, judgement in judged)


def hang_up(port: int, times: int) -> None:
    """Takes so many connections and closes each without an answer."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        for _ in range(times):
            listener.accept()[0].close()


def test_survives_connection_errors(tmp_path: Path) -> None:
    """Connections that break do not end it; when the service is there it gets its prompts; SIGTERM sums up."""
    port, log = free_port(), tmp_path / "log"
    options = ("--url", f"http://127.0.0.1:{port}", "--rate", "50")
    with process("aegis_flows.lab.traffic", *options, log=log) as started:
        hang_up(port, times=3)
        with aegis(port) as came:
            wait_until(lambda: len(came) >= 10)
            started.send_signal(signal.SIGTERM)
            assert started.wait(timeout=2) == 0
    counted = re.fullmatch(
        r"traffic: sent=(\d+) ok=(\d+) flagged=(\d+) failed=(\d+) \(.*Error: \d+\)\n", log.read_text()
    )
    assert counted
    sent, answered, flagged, failed = map(int, counted.groups())
    assert answered == flagged >= 9
    assert sent >= answered + failed >= 12


def test_open_loop(tmp_path: Path) -> None:
    """A slow service gets requests at the same rate as a quick one: nobody waits for answers."""
    port = free_port()
    options = ("--url", f"http://127.0.0.1:{port}", "--rate", "40")
    with aegis(port, delay=1) as came, process("aegis_flows.lab.traffic", *options, log=tmp_path / "log"):
        wait_until(lambda: len(came) >= 1)
        first = time.monotonic()
        wait_until(lambda: len(came) >= 21)
        assert time.monotonic() - first < 0.9  # 20 more are due after 0.5 s; one by one they would take 20 s


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "fast"])
def test_bad_rate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rate: str) -> None:
    """A rate that is none is refused with the option's name."""
    monkeypatch.setattr(sys, "argv", ["traffic", "--url", "http://127.0.0.1:1", "--rate", rate])
    with pytest.raises(SystemExit, match="2"):
        traffic.main()
    assert "argument --rate" in capsys.readouterr().err
