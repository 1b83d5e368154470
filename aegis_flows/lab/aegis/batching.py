import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_BATCH = 32

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Waiting(Generic[Answer]):
    prompt: str
    answer: asyncio.Future[Answer]


class Batcher(Generic[Answer]):
    """Answers prompts in batches; a batch waits at most `max_latency` seconds for more prompts to join."""

    def __init__(self, answer_all: Callable[[Sequence[str]], Sequence[Answer]], max_latency: float) -> None:
        self._answer_all = answer_all
        self._max_latency = max_latency
        self._queue: asyncio.Queue[Waiting[Answer]] = asyncio.Queue()
        self.depth = 0

    async def ask(self, prompt: str) -> Answer:
        waiting: Waiting[Answer] = Waiting(prompt, asyncio.get_running_loop().create_future())
        self.depth += 1
        try:
            self._queue.put_nowait(waiting)
            return await waiting.answer
        finally:
            self.depth -= 1

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            batch = await self._gather()
            answers = self._answer_all([waiting.prompt for waiting in batch])
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():  # its asker may have gone
                    waiting.answer.set_result(answer)

    async def _gather(self) -> list[Waiting[Answer]]:
        batch = [await self._queue.get()]
        deadline = asyncio.get_running_loop().time() + self._max_latency
        try:
            async with asyncio.timeout_at(deadline):
                while len(batch) < MAX_BATCH:
                    batch.append(await self._queue.get())
        except TimeoutError:
            pass
        return batch
