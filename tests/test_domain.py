import pytest

from aegis_flows.domain import BufferCount, Plan, dedup_key, deployment_name


@pytest.mark.parametrize(
    ("alertname", "deployment"),
    [
        ("AegisAuditWriteFailures", "aegis-audit-write-failures"),
        ("AegisHighInferenceLatencyP95", "aegis-high-inference-latency-p95"),
    ],
)
def test_deployment_is_named_like_its_alert(alertname: str, deployment: str) -> None:
    """The gateway finds a playbook by this rule alone."""
    assert deployment_name(alertname) == deployment


def test_dedup_key_is_what_alertmanager_sends_to_pagerduty() -> None:
    """Alertmanager's key is the lowercase hex sha256 of the groupKey."""
    assert dedup_key("{}") == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def plan(**changes: object) -> Plan:
    return Plan.model_validate({"title": "t", "why": "w", "commands": ("a", "b"), "undo": "u"} | changes)


def test_plan_hash_names_the_very_commands() -> None:
    """A decision about one plan fits no other."""
    assert plan().hash == plan().hash
    assert len({plan().hash, plan(commands=("a", "c")).hash, plan(undo="v").hash, plan(commands=("a b",)).hash}) == 4


def test_counts_that_do_not_add_up_say_so() -> None:
    """`adds_up` is a check that can fail."""
    assert BufferCount(found=3, moved=1, quarantined=1, left=1).adds_up
    assert not BufferCount(found=3, moved=1, quarantined=1, left=0).adds_up
