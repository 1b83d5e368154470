import asyncio
import time
from collections.abc import Sequence

from aegis_flows.lab.aegis.batching import MAX_BATCH, Batcher


def test_prompts_share_a_batch() -> None:
    """Prompts that come within the latency are answered together, each with its own answer."""
    batches: list[Sequence[str]] = []

    def shout(prompts: Sequence[str]) -> Sequence[str]:
        batches.append(prompts)
        return [prompt.upper() for prompt in prompts]

    async def ask_three() -> list[str]:
        batcher = Batcher(shout, max_latency=0.2)
        running = asyncio.create_task(batcher.run())
        answers = await asyncio.gather(*(batcher.ask(prompt) for prompt in "abc"))
        running.cancel()
        assert batcher.depth == 0
        return answers

    assert asyncio.run(ask_three()) == ["A", "B", "C"]
    assert batches == [["a", "b", "c"]]


def test_a_lone_prompt_waits_the_latency() -> None:
    """One prompt is answered after the maximum latency; meanwhile it counts as queued."""

    async def ask_one() -> float:
        batcher = Batcher(list, max_latency=0.1)
        running = asyncio.create_task(batcher.run())
        started = time.monotonic()
        asking = asyncio.create_task(batcher.ask("a"))
        await asyncio.sleep(0)
        assert batcher.depth == 1
        await asking
        running.cancel()
        return time.monotonic() - started

    assert 0.1 <= asyncio.run(ask_one()) < 1


def test_a_full_batch_does_not_wait() -> None:
    """As many prompts as a batch holds are answered at once."""

    async def ask_many() -> None:
        batcher = Batcher(list, max_latency=60)
        running = asyncio.create_task(batcher.run())
        async with asyncio.timeout(5):
            answers = await asyncio.gather(*(batcher.ask(str(number)) for number in range(MAX_BATCH)))
        running.cancel()
        assert answers == [str(number) for number in range(MAX_BATCH)]

    asyncio.run(ask_many())


def test_an_asker_may_go() -> None:
    """Someone who stops waiting takes nothing from the others."""

    async def one_goes() -> str:
        batcher = Batcher(list, max_latency=0.05)
        running = asyncio.create_task(batcher.run())
        goer, stayer = asyncio.create_task(batcher.ask("go")), asyncio.create_task(batcher.ask("stay"))
        await asyncio.sleep(0)
        goer.cancel()
        answer = await stayer
        running.cancel()
        return answer

    assert asyncio.run(one_goes()) == "stay"
