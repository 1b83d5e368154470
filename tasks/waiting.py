"""One wait is one row of history, however often the probe asks."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE

from aegis_flows.errors import TooLate
from aegis_flows.operation import saying_once

R = TypeVar("R")
EVERY = timedelta(milliseconds=500)


def wait_until(
    probe: Callable[..., R | None],
    *args: Any,
    within: timedelta,
    until: Callable[[R], bool] = bool,
    what: str,
    unless: Callable[[], bool] = lambda: False,
) -> R:
    """The probe's first answer that satisfies `until`; None never does.

    TooLate after `within`, or at once when `unless` comes true.
    """
    ask = cast("Callable[..., R]", getattr(probe, "fn", probe))
    return _wait.with_options(task_run_name=f"wait until {what}")(ask, args, within, until, what, unless)


@task(cache_policy=NO_CACHE)
def _wait(
    ask: Callable[..., R | None],
    args: tuple[Any, ...],
    within: timedelta,
    until: Callable[[R], bool],
    what: str,
    unless: Callable[[], bool],
) -> R:
    print(f"waits until {what}")
    deadline = time.monotonic() + within.total_seconds()
    with saying_once():
        while True:
            ended = unless()
            answer = ask(*args)
            if answer is not None and until(answer):
                return answer
            if ended or time.monotonic() > deadline:
                reason = "what could bring it about has ended" if ended else f"not within {within}"
                raise TooLate(f"{what}: {reason}; the last answer was {_short(answer)}.")
            time.sleep(EVERY.total_seconds())


def _short(answer: object, most: int = 200) -> str:
    text = repr(answer)
    return text if len(text) <= most else text[: most - 1] + "…"
