"""The drills by name: exercise and variant, as one chooses them on the command line and in the UI's form."""

from collections.abc import Iterable
from enum import StrEnum

from aegis_flows.errors import BadInput


class DrillName(StrEnum):
    """Exercise/variant; the exercise is the file under flows/exercises."""

    audit_bucket = "audit_backend_fail/bucket"
    audit_kms = "audit_backend_fail/kms"


def chosen(asked: Iterable[str]) -> list[DrillName]:
    """The drills by these names, in this order. An exercise's name stands for all its variants; no name, for all."""
    wanted: list[DrillName] = []
    for name in asked:
        if not (found := [d for d in DrillName if name in (d, d.split("/")[0])]):
            raise BadInput(f"There is no drill {name!r}.", advice=f"Drills are: {', '.join(DrillName)}.")
        wanted += [d for d in found if d not in wanted]
    return wanted or list(DrillName)
