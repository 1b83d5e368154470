"""Alertmanager's webhook in, playbook runs out. A 2xx means: recorded in Prefect."""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prefect.client.orchestration import PrefectClient, get_client
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from aegis_flows.errors import AegisError, Refused, Unreachable
from aegis_flows.gateway import payload
from aegis_flows.gateway.metrics import Metrics, new_metrics
from aegis_flows.gateway.payload import BadField, Firing, Malformed
from aegis_flows.gateway.playbooks import Playbooks, Run

LARGEST_BODY = 1024 * 1024  # bytes; a webhook of 2,000 alerts
LONGEST_WAIT = 8.0  # seconds for all of Prefect's answers to one delivery
READY_WAIT = 2.0  # seconds
RETRY_AFTER = "5"  # seconds

log = logging.getLogger("aegis_flows.gateway")
router = APIRouter()


class Answer(BaseModel):
    """What became of the alert names that fire."""

    runs: list[Run] = []
    unhandled: list[str] = []

    def add(self, firing: Firing, run: Run | None) -> None:
        if run:
            self.runs.append(run)
        else:
            self.unhandled.append(firing.incident.alertname)


class Problem(BaseModel):
    error: str
    fields: list[BadField] = []


@dataclass(frozen=True)
class Gateway:
    """What the routes share for the app's life."""

    token: str
    metrics: Metrics
    playbooks: Playbooks


def create_app(token: str, connect: Callable[[], PrefectClient] = get_client) -> FastAPI:
    """The gateway, for callers that bear `token`; `connect` makes the one client to Prefect's API."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Gateway]]:
        async with connect() as client:
            yield {"gateway": Gateway(token, new_metrics(), Playbooks(client))}

    app = FastAPI(title="aegis-flows gateway", lifespan=lifespan, openapi_url=None)
    app.include_router(router)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(AegisError, _refuse)
    return app


def gateway(request: Request) -> Gateway:
    parts = request.state.gateway
    assert isinstance(parts, Gateway)
    return parts


Shared = Annotated[Gateway, Depends(gateway)]


def authorised(request: Request, shared: Shared) -> None:
    shared.metrics.received.inc()
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(given.strip().encode("latin-1"), shared.token.encode())
    if scheme.lower() != "bearer" or not right:
        raise HTTPException(
            HTTPStatus.UNAUTHORIZED,
            "Send the gateway's token as 'Authorization: Bearer <AEGIS_GATEWAY_TOKEN>'.",
            {"WWW-Authenticate": 'Bearer realm="aegis-flows"'},
        )


@router.post("/alerts", dependencies=[Depends(authorised)])
async def receive_alerts(request: Request, response: Response, shared: Shared) -> Answer:
    """202 when a run was created, 200 when none was needed; both only after Prefect has recorded everything."""
    webhook = payload.read(await _body(request))
    request.state.incident = webhook.dedup_key[:8]
    if webhook.truncated_alerts:
        log.warning("incident=%s max_alerts cut %d alerts off", webhook.dedup_key[:8], webhook.truncated_alerts)
    answer = await _start_all(shared, payload.firing(webhook))
    response.status_code = HTTPStatus.ACCEPTED if any(run.created for run in answer.runs) else HTTPStatus.OK
    _log_delivery(request, response.status_code, answer)
    return answer


@router.get("/health")
async def health() -> dict[str, str]:
    """The process is up; says nothing of Prefect."""
    return {"status": "up"}


@router.get("/ready")
async def ready(shared: Shared) -> JSONResponse:
    """200 when Prefect's API answers within 2 s."""
    try:
        async with asyncio.timeout(READY_WAIT):
            await shared.playbooks.answers()
    except (Unreachable, Refused, TimeoutError) as e:
        error = str(e) or f"Prefect did not answer within {READY_WAIT:.0f} s."
        return JSONResponse({"error": error}, HTTPStatus.SERVICE_UNAVAILABLE)
    return JSONResponse({"status": "ready"})


@router.get("/metrics")
async def metrics(shared: Shared) -> Response:
    return Response(generate_latest(shared.metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BODY:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    "The body is over 1 MiB; set max_alerts in Alertmanager's webhook_configs.",
                )
    except ClientDisconnect:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The body ended early.") from None
    return bytes(body)


async def _start_all(shared: Gateway, firing: tuple[Firing, ...]) -> Answer:
    """One after the other (SQLite takes one writer); an alert that Prefect refuses does not hold back the next."""
    answer, refused = Answer(), list[Refused]()
    try:
        async with asyncio.timeout(LONGEST_WAIT):
            for alert in firing:
                try:
                    answer.add(alert, await _start(shared, alert))
                except Refused as e:
                    refused.append(e)
    except TimeoutError:
        raise Unreachable(f"Prefect did not answer within {LONGEST_WAIT:.0f} s.") from None
    if refused:
        raise Refused(" ".join(map(str, refused)))
    return answer


async def _start(shared: Gateway, firing: Firing) -> Run | None:
    run = await shared.playbooks.start(firing)
    counted = shared.metrics.unhandled if run is None else shared.metrics.duplicates
    (shared.metrics.created if run and run.created else counted).inc()
    return run


async def _refuse(request: Request, error: Exception) -> Response:
    """The one place where an error becomes an answer, a count and a log line."""
    code = _status(error)
    gateway(request).metrics.refused.labels(code=str(code)).inc()
    level = logging.ERROR if code >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.WARNING
    log.log(level, "%s status=%d incident=%s: %s", request.method, code, _incident(request), _reason(error))
    problem = Problem(error=_reason(error), fields=list(error.fields) if isinstance(error, Malformed) else [])
    return JSONResponse(problem.model_dump(), code, _headers(error, code))


def _status(error: Exception) -> int:
    """Alertmanager tries a 5xx again and drops a 4xx: whatever a repair of ours could still save is a 5xx."""
    match error:
        case HTTPException():
            return error.status_code
        case Malformed():
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case Unreachable():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR


def _reason(error: Exception) -> str:
    return error.detail if isinstance(error, HTTPException) else str(error)


def _headers(error: Exception, code: int) -> dict[str, str]:
    if isinstance(error, HTTPException):
        return dict(error.headers or {})
    return {"Retry-After": RETRY_AFTER} if code == HTTPStatus.SERVICE_UNAVAILABLE else {}


def _incident(request: Request) -> str:
    return getattr(request.state, "incident", "-")


def _log_delivery(request: Request, status: int, answer: Answer) -> None:
    runs = ",".join(f"{run.run_id}({'new' if run.created else 'existing'})" for run in answer.runs)
    unhandled = ",".join(payload.neutral(name)[:64] for name in answer.unhandled[:20])
    log.info("delivery status=%d incident=%s runs=%s unhandled=%s", status, _incident(request), runs, unhandled)
