"""Who owns what and who may decide: `deployments/directory.yaml`, validated when it is read."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from aegis_flows.domain import Email, Value
from aegis_flows.errors import BadInput
from aegis_flows.settings import settings


class Person(Value):
    name: str
    email: Email
    teams: tuple[str, ...] = Field(min_length=1)


class Team(Value):
    channel: str = Field(pattern=r"^#[a-z0-9_-]+$", description="Slack channel.")
    pagerduty_service: str = Field(description="Name of the PagerDuty service that pages this team.")
    may_approve: bool = Field(False, description="Whether its members may approve mitigations.")


class Owners(Value):
    primary: str
    secondary: str


class Directory(Value):
    teams: dict[str, Team]
    people: tuple[Person, ...]
    alerts: dict[str, Owners]

    @model_validator(mode="after")
    def _every_team_is_known(self) -> "Directory":
        named = {f"people[{i}].teams": p.teams for i, p in enumerate(self.people)}
        named |= {f"alerts.{a}": (o.primary, o.secondary) for a, o in self.alerts.items()}
        for where, teams in named.items():
            if unknown := [t for t in teams if t not in self.teams]:
                raise ValueError(f"{where} names the unknown team {unknown[0]!r}; teams are {', '.join(self.teams)}")
        return self

    def may_approve(self, email: str) -> bool:
        """Whether this person belongs to a team that approves mitigations; a stranger never does."""
        person = next((p for p in self.people if p.email.lower() == email.strip().lower()), None)
        return person is not None and any(self.teams[t].may_approve for t in person.teams)


def read(path: Path | None = None) -> Directory:
    """The directory of this checkout, or the one at `path`; BadInput names the place and the remedy."""
    path = path or settings().directory
    try:
        text: Any = yaml.safe_load(path.read_text())
        return Directory.model_validate(text)
    except (OSError, yaml.YAMLError) as error:
        raise BadInput(f"The directory {path} cannot be read: {error}.", advice="Set AEGIS_DIRECTORY.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "directory"
        raise BadInput(f"{path}: {where}: {first['msg']}.", advice="Correct that entry and run again.") from None
