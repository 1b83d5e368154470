"""Staging or nothing: positive proof, asked again before each fault; the default is no."""

from aegis_flows import journal
from aegis_flows.clients import Clients, clients
from aegis_flows.errors import NotStaging, Refused

LABEL = "aegis/environment"
STAGING = "staging"


def prove_staging() -> str:
    """What proves that the target is staging: our settings, the namespace's label and the role's tag all say so."""
    c = clients()
    said = {
        "AEGIS_ENVIRONMENT": c.settings.environment,
        f"label {LABEL} of namespace {c.settings.namespace}": _namespace_label(c),
        f"tag environment of role {role_name(c)}": _role_tag(c),
    }
    for source, value in said.items():
        if value != STAGING:
            raise NotStaging(
                f"The target is not proven to be staging: {source} is {value!r}, not {STAGING!r}. Nothing was changed.",
                advice="Run game-days against staging alone; there, set that label, tag or variable to 'staging'.",
            )
    return ", ".join(f"{source} is {STAGING}" for source in said)


def no_open_fault() -> None:
    """Refused while another drill's fault is open."""
    if entries := journal.read(clients()):
        raise Refused(
            f"A drill's fault is still open: {', '.join(entries)}.",
            advice=f"See configmap {journal.NAME}. Put it back with: "
            "prefect deployment run 'Undo faults/undo-faults' --param only=ID",
        )


def role_name(c: Clients) -> str:
    return c.settings.audit_role_arn.rsplit("/", 1)[-1]


def _namespace_label(c: Clients) -> str | None:
    namespace = c.core.read_namespace(c.settings.namespace)
    return (namespace.metadata.labels or {}).get(LABEL)


def _role_tag(c: Clients) -> str | None:
    tags = c.iam.get_role(RoleName=role_name(c))["Role"].get("Tags", [])
    return next((t["Value"] for t in tags if t["Key"] == "environment"), None)
