"""The two kinds of task: a probe asks and may be asked again at once, an action changes something.

Neither is ever answered from a cache: a second look must look.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE

P = ParamSpec("P")
R = TypeVar("R")


def transient(_task: Any, _run: Any, state: Any) -> bool:
    """Whether the failure can pass by itself: no answer, or a server that says it is not itself (429, 5xx)."""
    error = state.result(raise_on_failure=False)
    response = getattr(error, "response", None)
    code = getattr(error, "status", None) or getattr(response, "status_code", None)
    if isinstance(code, int):
        return code == 429 or code >= 500  # noqa: PLR2004  # HTTP's own numbers
    module = type(error).__module__.split(".")[0]
    return module in {"httpx", "urllib3"} or isinstance(error, OSError)


def probe(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that asks; its run is called `name`, with the arguments in braces."""
    return _kind(name, retries=3, delay=1)


def action(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that changes something; only what can pass by itself is tried again."""
    return _kind(name, retries=4, delay=2)


def _kind(name: str, retries: int, delay: float) -> Callable[[Callable[P, R]], Task[P, R]]:
    return task(
        task_run_name=name,
        cache_policy=NO_CACHE,
        retries=retries,
        retry_delay_seconds=delay,
        retry_condition_fn=transient,
    )
