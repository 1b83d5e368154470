import json
import shlex

import pytest

from aegis_flows.clients import Clients
from aegis_flows.operation import Operation, Step, command, compact, dry_run, folded, later, operation, saying_once

SENT: list[str] = []


@operation
def write(text: str) -> Operation[int]:
    def send(_: Clients) -> int:
        SENT.append(text)
        return len(SENT)

    return Operation(kind="write", shell=command("say", text), run=send)


@operation
def read(text: str) -> Operation[str]:
    return Operation(shell=command("ask", text), run=lambda _: text)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    SENT.clear()
    for name in ("SERVICE_URL", "PROMETHEUS_URL", "ALERTMANAGER_URL"):
        monkeypatch.setenv(f"AEGIS_{name}", "http://127.0.0.1:1/")
    for name in ("PAGERDUTY_TOKEN", "PAGERDUTY_FROM", "SLACK_TOKEN", "AUDIT_ROLE_ARN", "AUDIT_BUFFER"):
        monkeypatch.setenv(f"AEGIS_{name}", "x")


def test_what_is_done_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Every operation logs its command before it is done."""
    assert write("hello") == 1
    assert capsys.readouterr().out == "write $ say hello\n"


def test_dry_run_says_writes_and_sends_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Reads are done, writes only said."""
    with dry_run():
        assert write("hello") is None
        assert read("there") == "there"
    assert SENT == []
    assert capsys.readouterr().out == "dry run, not sent $ say hello\nread $ ask there\n"


def test_waits_say_a_command_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A probe asked a hundred times is one line of log."""
    with saying_once():
        for _ in range(100):
            read("there")
    assert capsys.readouterr().out == "read $ ask there\n"


def test_a_folded_command_is_the_same_command() -> None:
    """For a narrow form: the shell sees the same words, and JSON the same value."""
    patch = {
        "spec": {"template": {"spec": {"containers": [{"name": "aegis", "env": [{"name": "A", "value": "it's"}]}]}}}
    }
    line = command("kubectl", "-n", "aegis-staging", "patch", "deployment/aegis", "-p", compact(patch))
    shown = folded(line)
    assert max(map(len, shown.splitlines())) <= 60
    words = shlex.split(shown)
    assert words[:-1] == shlex.split(line)[:-1]
    assert json.loads(words[-1]) == patch


def test_values_from_outside_stay_one_word() -> None:
    """A value that looks like shell is quoted."""
    assert shlex.split(command("say", "a; rm -rf $HOME")) == ["say", "a; rm -rf $HOME"]


def test_a_step_survives_as_data() -> None:
    """What is written down is the same call, with the same command, in another process."""
    step = later(write, "later")
    again = Step.model_validate_json(step.model_dump_json())
    assert again.shell == "say later"
    assert again.do() == 1
    assert SENT == ["later"]
