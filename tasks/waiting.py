"""One wait is one row of history, however often the probe asks."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE

from aegis_flows.errors import TooLate
from aegis_flows.operation import saying_once
from aegis_flows.passing import passes

R = TypeVar("R")
EVERY = timedelta(milliseconds=500)


def wait_until(
    probe: Callable[..., R | None],
    *args: Any,
    within: timedelta,
    until: Callable[[R], bool] = bool,
    what: str,
    every: timedelta = EVERY,
) -> R:
    """The probe's first answer that satisfies `until` (None never does); TooLate after `within`.

    A failure that passes by itself (no answer, busy) is no answer yet; any other ends the wait.
    """
    ask = cast("Callable[..., R | None]", getattr(probe, "fn", probe))
    return _wait.with_options(task_run_name=f"wait until {what}")(ask, args, within, until, what, every)


@task(cache_policy=NO_CACHE)
def _wait(
    ask: Callable[..., R | None],
    args: tuple[Any, ...],
    within: timedelta,
    until: Callable[[R], bool],
    what: str,
    every: timedelta,
) -> R:
    print(f"waits until {what}")
    deadline = time.monotonic() + within.total_seconds()
    last: object = None
    with saying_once():
        while True:
            try:
                answer = ask(*args)
            except Exception as error:
                if not passes(error):
                    raise
                last = error
            else:
                if answer is not None and until(answer):
                    return answer
                last = answer
            if time.monotonic() > deadline:
                raise TooLate(f"{what}: not within {within}; the last answer was {_short(last)}.")
            time.sleep(every.total_seconds())


def _short(answer: object, most: int = 200) -> str:
    text = repr(answer)
    return text if len(text) <= most else text[: most - 1] + "…"
