"""`aegis`, as somebody types it; what needs a lab is tested in tests/lab and tests/flows."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest

from aegis_flows.cli import app
from tests.running_lab import REPOSITORY, shell

STRANGER = ("--as", "nobody@example.com", "--reason", "x")
NOWHERE = "http://127.0.0.1:1/api"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a lab that does not run."""
    return tmp_path / "lab"


def aegis(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aegis_flows.cli", *words],
        cwd=REPOSITORY,
        env=shell(AEGIS_LAB_FOLDER=str(folder), **more),
        capture_output=True,
        text=True,
        check=False,
    )


def staging(api: str) -> dict[str, str]:
    """The settings of a staging of one's own whose other systems need not answer."""
    urls = dict.fromkeys(("AEGIS_SERVICE_URL", "AEGIS_PROMETHEUS_URL", "AEGIS_ALERTMANAGER_URL"), "http://127.0.0.1:1/")
    names = ("AEGIS_PAGERDUTY_TOKEN", "AEGIS_PAGERDUTY_FROM", "AEGIS_SLACK_TOKEN", "AEGIS_AUDIT_ROLE_ARN")
    more = {"AEGIS_ENVIRONMENT": "staging", "PREFECT_API_URL": api, "AEGIS_AUDIT_BUFFER": "/nowhere"}
    return urls | dict.fromkeys(names, "x") | more


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["gameday", "nope"], "There is no drill 'nope'. Drills are: audit_backend_fail/bucket"),
        (["gameday", "--deadline", "0"], 'Invalid value "0.0" for --deadline. Must be > 0.'),
        (["gameday", "--deadline", "121"], "Must be <= 120."),
        (["gameday", "--deadline", "nan"], 'Invalid value "nan" for --deadline.'),
        (["gameday", "--deadline", "soon"], 'unable to convert "soon" into float'),
        (["gameday", "--reports", "README.md"], '"README.md" is a file'),
        (["ledger", "--last", "0"], 'Invalid value "0" for --last. Must be >= 1.'),
        (["ledger", "--last", "201"], "Must be <= 200."),
        (["ledger", "--json", "--csv"], "Both --json and --csv were given. Choose one."),
        (["ledger", "nonsense"], 'unable to convert "nonsense" into UUID. See: aegis ledger --help'),
        (["approve", "nonsense", *STRANGER], 'unable to convert "nonsense" into UUID. See: aegis approve --help'),
        (["approve"], "parameter RUN requires an argument. See: aegis approve --help"),
        (["nope"], 'Unknown command "nope". Available commands: lab, gameday'),
        (["approvals"], "no lab is running here. Start one: aegis lab up"),
    ],
)
def test_wrong_use_is_one_sentence(folder: Path, words: list[str], complaint: str) -> None:
    """With its remedy and exit code 2, before a lab is started or anything is asked."""
    refused = aegis(folder, *words)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("aegis: ")
    assert complaint in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not folder.exists()


def test_environment_without_prefect_is_one_sentence(folder: Path) -> None:
    """And no lab is started in its stead."""
    refused = aegis(folder, "gameday", AEGIS_ENVIRONMENT="staging")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "PREFECT_API_URL is not set. Set it to your Prefect server's API" in refused.stderr
    assert not folder.exists()


@pytest.mark.parametrize("words", [["gameday"], ["approvals"]])
def test_unreachable_prefect_is_one_sentence(folder: Path, words: list[str]) -> None:
    """Where it was looked for, and what to check."""
    refused = aegis(folder, *words, **staging(NOWHERE))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"No answer from Prefect at {NOWHERE} (ConnectError" in refused.stderr
    assert "Is PREFECT_API_URL right, and is it up?" in refused.stderr


@pytest.mark.parametrize("words", [["approve", *STRANGER], ["decline", *STRANGER], ["ledger"], ["report"]])
def test_unknown_run_is_one_sentence(folder: Path, prefect_api: str, words: list[str]) -> None:
    """Prefect's traceback is nobody's concern."""
    command, *rest = words
    known = ["--as", "sam.rivera@example.com", "--reason", "x"] if rest else []
    run = str(uuid4())
    refused = aegis(folder, command, run, *known, **staging(prefect_api))
    told = f"aegis: Prefect at {prefect_api} knows no {run}: Flow run not found. Is the id right?\n"
    assert (refused.returncode, refused.stderr) == (2, told)


@pytest.mark.parametrize("words", [["gameday"], ["ledger", str(uuid4())]])
def test_address_without_api_is_one_sentence(folder: Path, prefect_api: str, words: list[str]) -> None:
    """The usual slip: the address of Prefect's pages."""
    refused = aegis(folder, *words, **staging(prefect_api.removesuffix("/api")))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "is not Prefect's API. Set PREFECT_API_URL to the API's address; it ends with /api." in refused.stderr


def test_missing_deployment_is_one_sentence(folder: Path, prefect_api: str) -> None:
    """A Prefect server that was not told about the flows yet."""
    refused = aegis(folder, "gameday", **staging(prefect_api))
    told = "aegis: Prefect does not know the deployment Game-day/game-day. Run: prefect deploy --all\n"
    assert (refused.returncode, refused.stderr) == (2, told)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that answers everything alike."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  # http.server calls it so

        def log_message(self, *_: object) -> None:
            """Not into the test's output."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, {"exception_message": "Unauthorized"}, "does not let us in (401). Set PREFECT_API_AUTH_STRING"),
        (403, {}, "does not let us in (403)."),
        (422, {"detail": "Invalid limit."}, "answered 422 to csrf-token: Invalid limit."),
        (500, {"exception_message": "Internal Server Error"}, "answered 500 to csrf-token: Internal Server Error."),
    ],
)
def test_refusal_by_prefect_is_one_sentence(folder: Path, status: int, body: object, told: str) -> None:
    """With what it said."""
    with answering(status, json.dumps(body).encode()) as api:
        refused = aegis(folder, "approvals", **staging(api))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"aegis: Prefect at {api} {told}" in refused.stderr


def test_web_page_instead_of_the_api_is_one_sentence(folder: Path) -> None:
    """Prefect's own pages answer everything with 200 and HTML."""
    with answering(200, b"<!doctype html>") as api:
        refused = aegis(folder, "approvals", **staging(api))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"What answers at {api} is not Prefect's API." in refused.stderr


def test_reader_that_goes_away_is_no_traceback(folder: Path) -> None:
    """`aegis --help | true`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "aegis_flows.cli", "--help"],
        cwd=REPOSITORY,
        env=shell(AEGIS_LAB_FOLDER=str(folder)),
        stdout=(gone := _gone()),
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(gone)
    _, complaint = process.communicate()
    assert (process.returncode, complaint) == (1, "")


def _gone() -> int:
    reads, writes = os.pipe()
    os.close(reads)
    return writes


def test_help_imports_nothing_that_is_slow() -> None:
    """Prefect takes a second; --help and a wrong word must not."""
    script = (
        "import sys; from aegis_flows import cli; cli.app('--help'); print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"asyncio", "boto3", "httpx", "kubernetes", "prefect", "pydantic", "rich.markdown"} & set(
        done.stderr.split()
    )


@pytest.mark.parametrize(
    "words", ["", "gameday", "approvals", "approve", "decline", "ledger", "report", "lab", "lab up", "lab responder"]
)
def test_help_fits_a_terminal(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each option says what it does; no line is broken by hand."""
    app([*words.split(), "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: aegis {words}".rstrip())
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "[default: False]" not in shown
