"""Bots with a cascade of scripted parts, and callers who ask them something."""

from __future__ import annotations

import asyncio
from typing import Any

from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall
from tests.cascade.components import Answers, Speaks, Understands
from tests.pipeline.conftest import speech


def bot(
    stt: Understands | list[Understands],
    llm: Answers | list[Answers],
    tts: Speaks | list[Speaks],
    kind: type[AgentPipeline] = AgentPipeline,
    **settings: Any,
) -> AgentPipeline:
    pipeline = kind()
    parts = [part if isinstance(part, list) else [part] for part in (stt, llm, tts)]
    pipeline.backend = Cascade(*parts, **settings)  # type: ignore[arg-type]
    pipeline.instructions = "Be brief."
    return pipeline


async def asks(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    await alice.speak(speech("alice_question.wav"))
    await call.wait_for("reply_ended")


async def asks_and_stays(call: MemoryCall) -> None:
    await asks(call)
    await asyncio.sleep(5)


def said(llm: Answers, request: int = -1) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in llm.asked[request]]
