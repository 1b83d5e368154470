"""Selectors, as the Kubernetes documentation on labels describes them."""

import pytest

from aegis_flows.lab.kube.errors import StatusError
from aegis_flows.lab.kube.state import selectors

MARKS = {"app": "aegis", "aegis/environment": "staging"}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ("app=aegis", True),
        ("app==aegis,aegis/environment=staging", True),
        ("app!=aegis", False),
        ("tier!=web", True),
        ("app in (web, aegis)", True),
        ("app notin (web,aegis)", False),
        ("tier notin (web)", True),
        ("aegis/environment", True),
        ("!app", False),
        ("!tier,app in (aegis),app", True),
    ],
)
def test_label_selectors(text: str, fits: bool) -> None:
    """Equality, sets and existence; a missing label differs from every value; commas mean and."""
    assert selectors.holds(selectors.requirements(text), MARKS) is fits


@pytest.mark.parametrize("text", ["app in aegis", "=x", "app=a b", "app in (a"])
def test_what_cannot_be_read_is_a_400(text: str) -> None:
    """A typo selects nothing silently."""
    with pytest.raises(StatusError, match="unable to parse requirement") as raised:
        selectors.requirements(text)
    assert raised.value.code == 400


def test_an_object_selector_reads_back_as_text() -> None:
    """`kubectl scale` and autoscalers read the selector of a Scale as text."""
    expressions = [
        {"key": "tier", "operator": "In", "values": ["b", "a"]},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "zone", "operator": "NotIn", "values": ["x"]},
    ]
    wanted = selectors.of_object({"matchLabels": {"app": "aegis"}, "matchExpressions": expressions})
    texts = [requirement.text() for requirement in wanted]
    assert texts == ["app=aegis", "tier in (a,b)", "!old", "zone!=x"]
    assert selectors.requirements(",".join(texts)) == wanted
