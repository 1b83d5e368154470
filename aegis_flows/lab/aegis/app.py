"""The service's HTTP face: /health, /infer and /metrics."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aegis_flows.lab.aegis import events, model
from aegis_flows.lab.aegis.audit import AuditWriter
from aegis_flows.lab.aegis.batching import Batcher
from aegis_flows.lab.aegis.index import SearchIndex
from aegis_flows.lab.aegis.metrics import Metrics
from aegis_flows.lab.aegis.model import Judgement, LoadError, Model
from aegis_flows.lab.aegis.settings import Settings
from aegis_flows.lab.aegis.store import Store

MAX_PROMPT = 16_000  # characters

log = logging.getLogger("aegis")


class BadPromptError(ValueError):
    """`field` is the part of the request's body that is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Service:
    """One pod: its model (None until it is loaded), its batches and its audit writer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model: Model | None = None
        self._model_error = "loading"
        self._metrics = Metrics()
        self._writer = AuditWriter(settings.audit, settings.pod, Store(settings.audit), self._metrics.audit)
        self._index = SearchIndex(settings.opensearch_url, self._metrics.index_failures)
        self._batcher = Batcher(self._judge_all, settings.batch_max_latency_ms / 1000)
        self._metrics.queue_depth.set_function(lambda: self._batcher.depth)

    def app(self) -> Starlette:
        routes = [
            Route("/health", self.health),
            Route("/infer", self.infer, methods=["POST"]),
            Route("/metrics", self.metrics),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    async def health(self, _request: Request) -> Response:
        """200 with a model loaded, else 503: this is the pod's readiness."""
        body = {
            "status": "ok" if self._model else "unavailable",
            "model": {
                "loaded": self._model is not None,
                "version": self._settings.model.version,
                "error": self._model_error or None,
            },
            "batch": {"queue_depth": self._batcher.depth, "max_latency_ms": self._settings.batch_max_latency_ms},
            "audit": {"fallback": self._settings.audit.fallback, "pending": self._writer.pending},
        }
        return JSONResponse(body, status_code=200 if self._model else 503)

    async def infer(self, request: Request) -> Response:
        started = time.monotonic()
        try:
            prompt = parsed_prompt(await request.body())
        except BadPromptError as error:
            return JSONResponse({"error": {"field": error.field, "message": str(error)}}, status_code=422)
        if self._model is None:
            return JSONResponse({"error": {"message": f"model not loaded: {self._model_error}"}}, status_code=503)
        judgement = await self._batcher.ask(prompt)
        self._note(prompt, judgement)
        self._metrics.latency.observe(time.monotonic() - started)
        answer = "I cannot help with that." if judgement.flagged else "Here is what I found."
        return JSONResponse(
            {
                "answer": answer,
                "flagged": judgement.flagged,
                "reason": judgement.reason,
                "model": self._settings.model.version,
            }
        )

    async def metrics(self, _request: Request) -> Response:
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    def _judge_all(self, prompts: Sequence[str]) -> Sequence[Judgement]:
        loaded = self._model
        assert loaded is not None  # infer asks only then, and a model is never unloaded
        return [loaded.judge(prompt) for prompt in prompts]

    def _note(self, prompt: str, judgement: Judgement) -> None:
        event = events.event(prompt, judgement.reason, pii=judgement.pii, pod=self._settings.pod, at=datetime.now(UTC))
        self._writer.record(event)
        if judgement.reason is not None:
            self._metrics.safety_flags.labels(judgement.reason).inc()
            if self._settings.opensearch_url:
                self._index.add(event)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._batcher.run()), asyncio.create_task(self._start())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.to_thread(self._writer.close)

    async def _start(self) -> None:
        """Loads the model while /health and /metrics already answer."""
        started = time.monotonic()
        try:
            self._model = await asyncio.to_thread(model.load, self._settings.model)
        except LoadError as error:
            self._model_error = str(error)
            self._metrics.signature_errors.labels(error.reason).inc()
            log.error("model: not loaded: version=%s %s", self._settings.model.version, error)  # noqa: TRY400  (the reason says it; a traceback is many lines)
            return
        self._model_error = ""
        self._metrics.model_loaded.set(1)
        log.info("model: loaded version=%s in %.1f s", self._model.version, time.monotonic() - started)
        self._writer.start()
        self._index.start()


def parsed_prompt(body: bytes) -> str:
    """Raises BadPromptError; its message repeats nothing of the body."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:  # RecursionError: a thousand brackets
        raise BadPromptError("body", "must be JSON") from error
    if not isinstance(content, dict):
        raise BadPromptError("body", 'must be an object like {"prompt": "..."}')
    prompt = content.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise BadPromptError("prompt", "must be a text that is not empty")
    if len(prompt) > MAX_PROMPT:
        raise BadPromptError("prompt", f"must have at most {MAX_PROMPT} characters, has {len(prompt)}")
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise BadPromptError("prompt", "must be valid Unicode: it has half of a surrogate pair")
    return prompt
