"""The two kinds of task: a probe asks and may be asked again at once, an action changes something.

Neither is ever answered from a cache: a second look must look.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE

from aegis_flows.passing import passes

P = ParamSpec("P")
R = TypeVar("R")

WRITES = "write"
"""Tag of every task run that changes something; history shows these however short they are."""


def transient(_task: Any, _run: Any, state: Any) -> bool:
    """Whether the failure can pass by itself; it is tried again only then."""
    return passes(state.result(raise_on_failure=False))


def probe(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that asks; its run is called `name`, with the arguments in braces."""
    return _kind(name, retries=3, delay=1, tags=())


def action(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that changes something; only what can pass by itself is tried again."""
    return _kind(name, retries=4, delay=2, tags=(WRITES,))


def _kind(name: str, retries: int, delay: float, tags: tuple[str, ...]) -> Callable[[Callable[P, R]], Task[P, R]]:
    return task(
        task_run_name=name,
        tags=tags,
        cache_policy=NO_CACHE,
        retries=retries,
        retry_delay_seconds=delay,
        retry_condition_fn=transient,
    )
