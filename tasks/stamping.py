"""What a drill has found, kept in Prefect's history as artifacts of the run that saw it."""

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from aegis_flows.ledger import FACT, VERDICT, Verdict, stamp_key
from aegis_flows.stamps import Stamp


def stamp(given: Stamp) -> Stamp:
    """Write a stamp into history; what is not written here is not in the ledger."""
    create_table_artifact(table=[given.model_dump(mode="json")], key=stamp_key(given.name), description=given.detail)
    print(f"stamp {given.name} at {given.at:%H:%M:%S.%f} by {given.source}: {given.evidence}")
    return given


def fact(sentence: str) -> None:
    """Something else that was proven, for the report."""
    create_markdown_artifact(sentence, key=FACT)
    print(sentence)


def verdict(variant: str, given: Verdict, why: str) -> State[str]:
    """How the drill ended: held, broke, or invalid (it proves nothing, and so never counts as a pass)."""
    create_table_artifact(table=[{"variant": variant, "verdict": given, "why": why}], key=VERDICT, description=why)
    print(f"verdict {given}: {why}")
    kind = Completed if given == "held" else Failed
    return kind(name=given.capitalize(), message=why)
