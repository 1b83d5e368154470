"""IAM: inline policies of a role."""

import json
from contextlib import suppress
from typing import Any

from aegis_flows.clients import Clients
from aegis_flows.operation import Operation, command, compact, operation
from tasks.kinds import action, probe


@probe("policy {policy} of {role}")
@operation
def role_policy(role: str, policy: str) -> Operation[dict[str, Any] | None]:
    """The inline policy's document, None where there is none."""
    return Operation(
        shell=command("aws", "iam", "get-role-policy", "--role-name", role, "--policy-name", policy),
        run=lambda c: _document(c, role, policy),
    )


@action("set policy {policy} of {role}")
@operation
def set_role_policy(role: str, policy: str, document: dict[str, Any] | None) -> Operation[None]:
    """Put an inline policy on the role; None takes it away (and is content if it is gone)."""
    words = ["--role-name", role, "--policy-name", policy]
    if document is None:
        return Operation(
            kind="write",
            shell=command("aws", "iam", "delete-role-policy", *words),
            run=lambda c: _delete(c, role, policy),
        )
    text = compact(document)
    return Operation(
        kind="write",
        shell=command("aws", "iam", "put-role-policy", *words, "--policy-document", text),
        run=lambda c: c.iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=text) and None,
    )


def _document(c: Clients, role: str, policy: str) -> dict[str, Any] | None:
    with suppress(c.iam.exceptions.NoSuchEntityException):
        document: Any = c.iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        return dict(json.loads(document) if isinstance(document, str) else document)
    return None


def _delete(c: Clients, role: str, policy: str) -> None:
    with suppress(c.iam.exceptions.NoSuchEntityException):
        c.iam.delete_role_policy(RoleName=role, PolicyName=policy)
