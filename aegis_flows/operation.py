"""An operation is one request to the outside world, and the line a person would type for it."""

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from pkgutil import resolve_name
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeVar, cast

from aegis_flows.clients import Clients, clients
from aegis_flows.domain import Value

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_dry: ContextVar[bool] = ContextVar("dry", default=False)
_said: ContextVar[set[object] | None] = ContextVar("said", default=None)


@dataclass(frozen=True)
class Operation(Generic[R]):
    """One request, said and done. `shell` is the command line, `run` the same request through a client."""

    shell: str
    run: Callable[[Clients], R]
    kind: Literal["read", "write"] = "read"


class Performed(Protocol[P, R_co]):
    """A function that does its operation; `describe` only says it."""

    describe: Callable[..., Operation[Any]]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


def operation(describe: Callable[P, Operation[R]]) -> Performed[P, R]:
    """Turn a function that describes an operation into one that logs its command, then does it.

    In a dry run a write is only said, and answers None.
    """

    @wraps(describe)
    def perform(*args: P.args, **kwargs: P.kwargs) -> R:
        described = describe(*args, **kwargs)
        skipped = described.kind == "write" and _dry.get()
        _say(describe, f"{'dry run, not sent' if skipped else described.kind} $ {described.shell}")
        return cast("R", None) if skipped else described.run(clients())

    perform.describe = describe  # type: ignore[attr-defined]
    return cast("Performed[P, R]", perform)


@contextmanager
def dry_run(on: bool = True) -> Iterator[None]:
    """Within this block every write is said and none is sent."""
    token = _dry.set(on)
    try:
        yield
    finally:
        _dry.reset(token)


@contextmanager
def saying_once() -> Iterator[None]:
    """Within this block an operation that is asked again and again is logged once: for waits."""
    token = _said.set(set())
    try:
        yield
    finally:
        _said.reset(token)


def _say(asked: object, line: str) -> None:
    said = _said.get()
    if said is None or asked not in said:
        print(line)
    if said is not None:
        said.add(asked)


def command(*words: str) -> str:
    """A command line whose every word is quoted for the shell as it needs."""
    return shlex.join(words)


def folded(line: str, width: int = 54) -> str:
    """The same command over several lines, for a narrow place: words as they are, JSON with line breaks inside."""
    rows, row = [], ""
    for word in (_opened(w) if len(w) > width else shlex.quote(w) for w in shlex.split(line)):
        if row and len(row) + len(word.split("\n", 1)[0]) > width:
            rows.append(row)
            row = ""
        row += f" {word}" if row else word
    return " \\\n  ".join([*rows, row])


def _opened(word: str) -> str:
    """JSON may hold line breaks between its parts, and a quoted word may hold them too."""
    try:
        return shlex.quote(json.dumps(json.loads(word), indent=1))
    except ValueError:
        return shlex.quote(word)


def compact(value: object) -> str:
    """JSON as it stands in a command line and on the wire."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


class Step(Value):
    """A call decided now and made later, perhaps by another process; so it is data."""

    operation: str
    arguments: dict[str, Any]

    @property
    def shell(self) -> str:
        """The command line of the call."""
        return str(self._performed.describe(**self.arguments).shell)

    def do(self) -> Any:
        return resolve_name(self.operation)(**self.arguments)

    @property
    def _performed(self) -> Performed[..., Any]:
        found = resolve_name(self.operation)
        return cast("Performed[..., Any]", getattr(found, "fn", found))


def later(performed: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Step:
    """The call `performed(*args, **kwargs)` as data."""
    described = cast("Performed[P, Any]", getattr(performed, "fn", performed)).describe
    bound = signature(described).bind(*args, **kwargs)
    return Step(operation=f"{described.__module__}:{described.__qualname__}", arguments=dict(bound.arguments))
