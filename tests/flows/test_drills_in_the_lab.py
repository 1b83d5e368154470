"""The closed loop, for real: what a user runs, against everything that the lab can start."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from aegis_flows.lab.traffic import CANARY
from aegis_flows.stamps import StampName
from tests.running_lab import REPOSITORY, RunningLab, until

pytestmark = [pytest.mark.lab, pytest.mark.slow]

FALLBACK = "Enable audit fallback/enable-audit-fallback"
EXERCISE = "Exercise: audit backend fails/exercise-audit-backend-fail"
BUCKET = "aegis-audit-staging"
STAMPS = set(StampName)


@pytest.fixture(autouse=True)
def _calm(lab: RunningLab) -> Iterator[None]:
    lab.calm()
    yield
    until(lambda: lab.pod_env("AUDIT_S3_BUCKET") == BUCKET and not lab.open_faults(), 90)
    until(lambda: lab.pod_env("AUDIT_FALLBACK_ENABLED") == "false", 120)


def ask(lab: RunningLab, prompts: list[str]) -> None:
    with httpx.Client(base_url=lab.urls["aegis"], timeout=10) as http:
        for prompt in prompts:
            until(lambda p=prompt: _accepted(http, p), 30)  # type: ignore[misc]  # the default binds the loop's prompt


def _accepted(http: httpx.Client, prompt: str) -> bool:
    try:
        return http.post("/infer", json={"prompt": prompt}).is_success
    except httpx.TransportError:
        return False


def audited(lab: RunningLab, nonce: str) -> Counter[str]:
    """How often each prompt with this nonce stands in the audit trail in S3."""
    s3 = lab.aws().client("s3")
    found: Counter[str] = Counter()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="audit/"):
        for entry in page.get("Contents", []):
            for line in s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read().splitlines():
                prompt = json.loads(line)["prompt"]
                found[prompt] += nonce in prompt
    return +found


def test_game_day_holds_with_nine_evidenced_stamps(lab: RunningLab, tmp_path: Path) -> None:
    """Both variants: fired, heard, mitigated, restored; every audit event is in S3 once; nothing private anywhere."""
    nonce = uuid4().hex
    prompts = [f"{nonce} {n}" for n in range(60)]
    command = [sys.executable, "-m", "aegis_flows.cli", "gameday", "--reports", str(tmp_path)]
    game = subprocess.Popen(command, cwd=REPOSITORY, env=lab.outside(), stdout=subprocess.PIPE, text=True)
    while game.poll() is None and prompts:
        ask(lab, [prompts.pop()])
        time.sleep(1)
    printed, _ = game.communicate(timeout=300)
    assert game.returncode == 0, printed
    told = json.loads(lab.aegis("ledger", "--json").stdout)
    for drill in told[0]["drills"]:
        assert drill["verdict"] == "held", drill
        assert {s["name"] for s in drill["stamps"]} == STAMPS
        assert all(s["evidence"] and s["source"] for s in drill["stamps"])
        assert all(d["seconds"] is not None for d in drill["durations"])
    assert [d["variant"] for d in told[0]["drills"]] == ["bucket", "kms"]
    sent = {f"{nonce} {n}" for n in range(60)} - set(prompts)
    until(lambda: set(audited(lab, nonce)) == sent, 30)
    assert set(audited(lab, nonce).values()) == {1}
    assert not list((lab.folder / "buffer").rglob("*.jsonl"))
    _nothing_private(lab, [printed, json.dumps(told), next(tmp_path.glob("*.html")).read_text()])


def _nothing_private(lab: RunningLab, texts: list[str]) -> None:
    """The canary that stands in every personal prompt of the lab's traffic is found in S3 and nowhere else."""
    token = {"Authorization": f"Bearer {lab.env['AEGIS_SLACK_TOKEN']}"}
    texts.append(httpx.get(f"{lab.urls['slack']}/lab/messages", headers=token).text)
    texts.append(httpx.get(f"{lab.urls['pagerduty']}/").text)
    with lab.prefect() as client:
        texts += [str(a.data) for a in client.read_artifacts()]
        texts += [log.message for log in client.read_logs(limit=200)]
    texts += [path.read_text(errors="replace") for path in (lab.folder / "logs").glob("*.log")]
    texts += [path.read_text(errors="replace") for path in (lab.folder / "kube").rglob("*.log")]
    assert len(texts) > 20
    assert not [text[:200] for text in texts if CANARY in text]
    assert any(CANARY in prompt for prompt in audited(lab, CANARY))


def test_nobody_approves_so_nothing_is_called_mitigated(lab: RunningLab) -> None:
    """Silence is a no: the playbook ends unmitigated and says so, the drill broke, and the fault is taken back."""
    with lab.nobody_on_call():
        run = lab.start(EXERCISE, variant="bucket")
        ended = lab.ended(run, within=240)
    assert ended.name == "Broke"
    assert "Unmitigated" in (ended.message or "")
    assert _stamps(lab, run) == STAMPS - {"mitigated", "restored"}
    assert lab.pod_env("AUDIT_FALLBACK_ENABLED") == "false"


def test_mitigation_without_effect_restores_nothing(lab: RunningLab) -> None:
    """The fallback is approved and set, but its volume cannot be written: neither mitigated nor restored is claimed."""
    before = lab.pod_env("AUDIT_FALLBACK_DIR")
    assert before
    lab.set_pod_env("AUDIT_FALLBACK_DIR", "/proc/nowhere")
    try:
        run = lab.start(EXERCISE, variant="bucket")
        ended = lab.ended(run, within=300)
    finally:
        lab.set_pod_env("AUDIT_FALLBACK_DIR", before)
    assert ended.name == "Broke"
    assert _stamps(lab, run) == STAMPS - {"mitigated", "restored"}


@pytest.mark.parametrize("variant", ["bucket", "kms"])
def test_killed_worker_leaves_staging_restored_by_the_deadline(lab: RunningLab, variant: str) -> None:
    """`kill -9` of the worker and its runs in the middle: the scheduled undo puts everything back."""
    run = lab.start(EXERCISE, variant=variant, deadline_minutes=1)
    until(lambda: broken(lab, variant) and "verified" in _stamps(lab, run), 90)
    [fault] = lab.open_faults()
    deadline = datetime.fromisoformat(json.loads(lab.open_faults()[fault])["until"])
    worker = json.loads((lab.folder / "lab.json").read_text())["parts"]["worker"]["pid"]
    os.killpg(worker, signal.SIGKILL)
    assert broken(lab, variant)
    until(lambda: not broken(lab, variant), (deadline - datetime.now(UTC)).total_seconds())
    until(lambda: lab.state(run) == "Crashed" and not lab.open_faults(), 30)
    until(lambda: {lab.state(undo.id) for undo in lab.tagged(f"fault:{fault}")} == {"Put back", "Cancelled"}, 30)


def broken(lab: RunningLab, variant: str) -> bool:
    if variant == "bucket":
        return lab.pod_env("AUDIT_S3_BUCKET") != BUCKET
    iam = lab.aws().client("iam")
    return "gameday-deny-decrypt" in iam.list_role_policies(RoleName="aegis-audit")["PolicyNames"]


def test_interrupted_game_day_puts_everything_back(lab: RunningLab, tmp_path: Path) -> None:
    """Ctrl-C: the command waits until the drill has taken its fault back, and says so."""
    command = [sys.executable, "-m", "aegis_flows.cli", "gameday", "audit_backend_fail/kms", "--reports", str(tmp_path)]
    game = subprocess.Popen(command, cwd=REPOSITORY, env=lab.outside(), stderr=subprocess.PIPE, text=True)
    until(lambda: broken(lab, "kms"), 90)
    game.send_signal(signal.SIGINT)
    _, complaint = game.communicate(timeout=120)
    assert game.returncode == 130, complaint
    assert "Cancelling" in complaint
    until(lambda: not broken(lab, "kms") and not lab.open_faults(), 30)


def test_decision_must_be_named_known_and_given_once(lab: RunningLab) -> None:
    """A stranger's yes does not count on either door; a named no changes nothing; an answered plan takes no more."""
    with lab.nobody_on_call():
        run = lab.start(FALLBACK, why="a rehearsal of the form")
        until(lambda: lab.state(run) == "Suspended", 60)
        shown = lab.aegis("approvals").stdout
        assert str(run) in shown
        assert "kubectl -n aegis-staging patch deployment/aegis" in shown
        stranger = lab.aegis("approve", str(run), "--as", "nobody@example.com", "--reason", "I want to")
        assert (stranger.returncode, "directory" in stranger.stderr) == (2, True)
        with lab.prefect() as client:
            forged = {"decision": "approve", "approver": "root@evil.example", "reason": "x", "channel": "Prefect UI"}
            assert client.resume_flow_run(run, run_input=forged).status.value == "ACCEPT"
        until(lambda: lab.state(run) == "Suspended", 60)
        assert lab.pod_env("AUDIT_FALLBACK_ENABLED") == "false"
        declined = lab.aegis("decline", str(run), "--as", "sam.rivera@example.com", "--reason", "only a rehearsal")
        assert declined.returncode == 0, declined.stderr
        ended = lab.ended(run, within=60)
    assert "sam.rivera@example.com declined: only a rehearsal" in (ended.message or "")
    assert lab.pod_env("AUDIT_FALLBACK_ENABLED") == "false"
    late = lab.aegis("approve", str(run), "--as", "sam.rivera@example.com", "--reason", "changed my mind")
    assert (late.returncode, "does not wait for an approval" in late.stderr) == (1, True)


def test_dry_run_shows_the_plan_and_sends_no_write(lab: RunningLab) -> None:
    """The commands are printed, nothing is broken, no undo is scheduled."""
    shown = lab.aegis("gameday", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "dry run, not sent $ kubectl -n aegis-staging patch deployment/aegis" in shown.stdout
    assert "dry run, not sent $ aws iam put-role-policy" in shown.stdout
    assert "write $" not in shown.stdout
    assert not lab.open_faults()


def _stamps(lab: RunningLab, run: UUID) -> set[str]:
    with lab.prefect() as client:
        keys = [a.key or "" for a in client.read_artifacts() if a.flow_run_id == run]
    return {k.removeprefix("stamp-").replace("-", "_") for k in keys if k.startswith("stamp-")}
