"""Game-days as the audit-backend drill leaves them in Prefect's history."""

from datetime import UTC, datetime, timedelta

import pytest

from aegis_flows.ledger import Drill, GameDay, Span, Verdict
from aegis_flows.stamps import Stamp, StampName

START = datetime(2026, 11, 23, 9, 30, 4, 120_000, tzinfo=UTC)
PREFECT = "http://127.0.0.1:4200"


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def stamp(
    name: str, at: float, source: str, evidence: str, detail: str, by: str = "", resolution: float = 0.001
) -> Stamp:
    return Stamp.model_validate(
        {
            "name": name,
            "at": after(at),
            "source": source,
            "evidence": evidence,
            "detail": detail,
            "by": by,
            "resolution": timedelta(seconds=resolution),
        }
    )


def road(begin: float, variant: str) -> tuple[Stamp, ...]:
    """The nine stamps of a drill whose fault was injected `begin` seconds after the game-day's start."""
    deployment = "deployment/aegis resourceVersion=1841"
    role = "role/aegis-audit policy=gameday-deny-decrypt"
    series = 'ALERTS{alertname="AegisAuditWriteFailures",namespace="aegis-staging"}'
    return (
        stamp(
            "injected",
            begin,
            "kubernetes" if variant == "bucket" else "iam",
            deployment if variant == "bucket" else role,
            "The fault was written; its undo stands in configmap/gameday-journal.",
            "automation",
        ),
        stamp(
            "verified",
            begin + 1.212,
            "aegis",
            "aegis-7d9c5b-x2xkp: aegis_audit_write_errors_total=14",
            "A canary through the audit backend fails the way it should.",
            "automation",
        ),
        stamp("firing", begin + 4.13, "prometheus", series, "The rule's condition held for its whole time."),
        stamp(
            "routed",
            begin + 4.402,
            "alertmanager",
            "fingerprint 5ef77f1f8a3ecbdb",
            "Receiver audit-critical: webhook, Slack and PagerDuty.",
        ),
        stamp("slack_seen", begin + 4.688, "slack", "C0AEGISALERTS/1795512609.000200", "In #aegis-alerts."),
        stamp(
            "pagerduty_opened",
            begin + 4.88,
            "pagerduty",
            "PT4KHLK7 (dedup 9f86d081884c7d65)",
            "Incident #118, service Aegis.",
            "automation",
            1,
        ),
        stamp(
            "acknowledged",
            begin + 11.88,
            "pagerduty",
            "R7DBK4E1QXZ acknowledge_log_entry",
            "Ada Moreno, SRE on-call.",
            "person",
            1,
        ),
        stamp(
            "mitigated",
            begin + 19.317,
            "aegis",
            "aegis_audit_buffered_events_total=212, write errors +0 for 3 s",
            "Writes are buffered and errors stopped after the fallback was approved.",
            "person",
        ),
        stamp(
            "restored",
            begin + 36.046,
            "prometheus",
            f"{series} resolved",
            "Buffer empty, fallback off, pre-image read back.",
            "automation",
        ),
    )


def work(begin: float) -> dict[str, tuple[Span, ...]]:
    """What ran in the same time: the exercise, the playbook and the mitigations that it asked for."""
    spans = {
        "Exercise": [
            ("steady state holds", -6.2, -2.0),
            ("write undo, schedule it", -1.9, -0.4),
            ("inject", -0.3, 0.6),
            ("wait: firing", 0.7, 4.3),
            ("wait: restored", 4.4, 36.1),
            ("read back the pre-image", 36.2, 37.4),
        ],
        "Playbook aegis-audit-write-failures": [
            ("acknowledge", 5.1, 5.6),
            ("read audit writer logs", 5.7, 6.1),
            ("read write-error metric", 5.7, 6.0),
            ("canary through S3 and KMS", 6.2, 8.3),
            ("propose the fallback", 8.4, 8.6),
            ("suspended: approval", 8.7, 14.9),
            ("verify buffered", 16.6, 19.4),
            ("write the timeline", 35.0, 36.4),
        ],
        "Mitigations": [("enable-audit-fallback", 15.1, 16.5), ("migrate-audit-buffer", 24.0, 31.5)],
    }
    return {
        lane: tuple(
            Span(
                label=label,
                start=after(begin + a),
                end=after(begin + b),
                state="Completed",
                run_id=f"0192f3c4-{n:04d}-7aaa-8bbb-{int(begin):012d}",
            )
            for n, (label, a, b) in enumerate(rows)
        )
        for lane, rows in spans.items()
    }


WRONG_BUCKET = '{"spec":{"template":{"spec":{"containers":[{"name":"aegis","env":[{"name":"AUDIT_S3_BUCKET"}]}]}}}}'
ACKNOWLEDGED = '{"incident":{"type":"incident_reference","status":"acknowledged"}}'
TOKEN = "Authorization: Token token=$PAGERDUTY_TOKEN"
COMMANDS = (
    f"kubectl -n aegis-staging patch deployment aegis --type strategic -p '{WRONG_BUCKET}'",
    "kubectl -n aegis-staging rollout status deployment/aegis --timeout=60s",
    f"curl -X PUT https://api.pagerduty.com/incidents/PT4KHLK7 -H '{TOKEN}' -d '{ACKNOWLEDGED}'",
    "kubectl -n aegis-staging set env deployment/aegis AUDIT_FALLBACK_ENABLED=true",
    "kubectl -n aegis-staging set env deployment/aegis AUDIT_FALLBACK_ENABLED=false",
)
FACTS = (
    "212 events found in the buffer = 212 moved + 0 quarantined + 0 left, in 9 files; each read back and compared.",
    "0 events lost: 1,907 written by the pods, 1,907 found in the bucket.",
    "The cause was named: no such bucket (NoSuchBucket, request 4442587FB7D0A2F9).",
)


def drill(
    variant: str, begin: float, *, verdict: Verdict = "held", why: str = "", until: StampName | None = None
) -> Drill:
    """A drill in full, or cut short after the stamp `until`."""
    stamps, names = road(begin, variant), list(StampName)
    kept = stamps if until is None else stamps[: names.index(until) + 1]
    ended = None if verdict == "running" else after(begin + 38)
    last = kept[-1].at if kept else after(begin)
    spans = {
        lane: tuple(
            span if until is None or (span.end and span.end <= last) else span.model_copy(update={"end": ended})
            for span in spans
            if until is None or span.start <= last
        )
        for lane, spans in work(begin).items()
    }
    return Drill(
        exercise="audit_backend_fail",
        variant=variant,
        run_id=f"0192f3c4-dddd-7aaa-8bbb-{int(begin):012d}",
        started=after(begin - 6.5),
        ended=ended,
        verdict=verdict,
        why=why,
        stamps=kept,
        spans={lane: marks for lane, marks in spans.items() if marks},
        facts=FACTS if until is None else (),
        commands=COMMANDS if until is None else COMMANDS[:2],
    )


def gameday(name: str, state: str, *drills: Drill, ended: float | None = None) -> GameDay:
    return GameDay(
        name=name,
        run_id="0192f3c4-5f6a-7aaa-8bbb-1f2e3d4c5b6a",
        started=START,
        ended=None if ended is None else after(ended),
        state=state,
        drills=drills,
        prefect_url=PREFECT,
    )


@pytest.fixture
def held() -> GameDay:
    """Both ways of failing, each with its nine stamps."""
    return gameday("gameday-2026-11-23", "Completed", drill("bucket", 8), drill("kms", 58.5), ended=99.4)


@pytest.fixture
def broke() -> GameDay:
    """Nobody approved: the second drill ends after the acknowledgement, and two stamps contradict each other."""
    why = "The approval expired after 30 s: nobody named said yes, the run ended unmitigated."
    short = drill("kms", 58.5, verdict="broke", why=why, until=StampName.acknowledged)
    early = short.stamps[5].model_copy(update={"at": after(58.5)})
    failed = short.spans["Playbook aegis-audit-write-failures"]
    spans = {
        **short.spans,
        "Playbook aegis-audit-write-failures": (*failed[:-1], failed[-1].model_copy(update={"state": "TimedOut"})),
    }
    torn = short.model_copy(update={"stamps": (*short.stamps[:5], early, short.stamps[6]), "spans": spans})
    return gameday("gameday-2026-11-24", "Failed", drill("bucket", 8), torn, ended=99.4)


@pytest.fixture
def running() -> GameDay:
    """The first drill is between its alert and its acknowledgement."""
    return gameday(
        "gameday-2026-11-25", "Running", drill("bucket", 8, verdict="running", until=StampName.pagerduty_opened)
    )


@pytest.fixture
def crashed(running: GameDay) -> GameDay:
    """The worker died: the drill still says running, the game-day has ended."""
    return running.model_copy(update={"state": "Crashed", "ended": after(61)})


@pytest.fixture
def empty() -> GameDay:
    """A game-day that ended before its first drill."""
    return gameday("gameday-2026-11-26", "Failed", ended=2)
