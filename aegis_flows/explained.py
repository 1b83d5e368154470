"""What a person can do about an error that Prefect, the network or the disk has raised, in a sentence."""

import json
import os
import traceback
from typing import Any

from aegis_flows.errors import AegisError, BadInput, Refused, Unreachable

UNAUTHORISED = (401, 403)
NO_SUCH_ADDRESS = (404, 405)
LONGEST = 200


def explain(error: Exception) -> AegisError | None:
    """The error in our words; None when it is none that a person has caused or can mend."""
    if isinstance(error, AegisError):
        return error
    if isinstance(error, OSError) and error.filename:
        return AegisError(f"{error.filename}: {error.strerror}.")
    if isinstance(error, json.JSONDecodeError):
        return _no_api() if _in_prefects_client(error) else None
    return _answered(error) if _response(error) is not None else _silent(error)


def _answered(error: Exception) -> AegisError:
    """Prefect, or what we took for it, said no."""
    response = _response(error)
    detail = _detail(response)
    if response.status_code in NO_SUCH_ADDRESS and detail in ("Not Found", "Method Not Allowed", ""):
        return _no_api()
    if response.status_code in UNAUTHORISED:
        return Refused(
            f"Prefect at {_where()} does not let us in ({response.status_code}).",
            advice="Set PREFECT_API_AUTH_STRING (a server of your own) or PREFECT_API_KEY (Prefect Cloud).",
        )
    asked = response.request.url.path.rsplit("/", 1)[-1]
    if type(error).__name__ == "ObjectNotFound":
        return BadInput(f"Prefect at {_where()} knows no {asked}: {detail}.", advice="Is the id right?")
    return Refused(f"Prefect at {_where()} answered {response.status_code} to {asked}: {detail}.")


def _silent(error: Exception) -> Unreachable | None:
    import httpx

    unreached = isinstance(error, httpx.TransportError | httpx.InvalidURL)
    if not unreached and "Failed to reach API" not in str(error):
        return None
    return Unreachable(
        f"No answer from Prefect at {_where()} ({type(error).__name__}: {error}).",
        advice="Is PREFECT_API_URL right, and is it up? For the lab: aegis lab status",
    )


def _no_api() -> Unreachable:
    return Unreachable(
        f"What answers at {_where()} is not Prefect's API.",
        advice="Set PREFECT_API_URL to the API's address; it ends with /api.",
    )


def _response(error: Exception) -> Any:
    """What was answered with an error; Prefect keeps it one level down in its own."""
    response = getattr(getattr(error, "http_exc", error), "response", None)
    return response if hasattr(response, "status_code") else None


def _detail(response: Any) -> str:
    try:
        told = response.json()
    except ValueError:
        return ""
    said = (told.get("detail") or told.get("exception_message")) if isinstance(told, dict) else told
    return str(said or "").rstrip(".")[:LONGEST]


def _in_prefects_client(error: Exception) -> bool:
    frames = traceback.walk_tb(error.__traceback__)
    return any(str(frame.f_globals.get("__name__")).startswith("prefect.client") for frame, _ in frames)


def _where() -> str:
    return os.environ.get("PREFECT_API_URL") or "PREFECT_API_URL, which is not set"
