"""Input of the emulated service from a client's messages: the user's turns, the times of answers."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import numpy as np

from .messages import INPUT_RATE, Request
from .rules import is_extended, refusal_of_response, refusal_of_tools
from .state import HistoryMessage, Session
from .vad import ServerVad

TOKENS_PER_SECOND = 25
_TOKENS_PER_IMAGE = 258


class Client(Protocol):
    """The connection as its listener knows it: see `Connection`."""

    setup: dict[str, Any]
    session: Session
    closed: asyncio.Event

    @property
    def interruptible(self) -> bool:
        """True if the user's speech ends the model's."""

    def note(self, name: str, value: Any = None) -> None:
        """A message came."""

    def declare(self, tools: list[dict[str, Any]]) -> None:
        """The client's tools."""

    def in_background(self, tool: str) -> bool:
        """Return whether the model talks on while a tool runs."""

    def add_usage(self, heard: int, seen: int) -> None:
        """Count tokens."""

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message of any shape."""

    async def send_handle(self) -> None:
        """Tell by which handle the session can be resumed from here."""

    async def close(self, code: int, reason: str = "") -> None:
        """Close with a code."""


class Listener:
    """The model's ears and its floor: one answer at a time, and none over the user.

    Args:
        connection: The client.
        next_answer: What the model says next.
        vad: The service's own turn detection; None where the client announces activity.
    """

    def __init__(
        self,
        connection: Client,
        next_answer: Callable[[], Callable[[Request], Awaitable[None]]],
        vad: ServerVad | None,
    ) -> None:
        self._connection = connection
        self._next_answer = next_answer
        self._vad = vad
        # The audio of the turn that is open.
        self._turn: list[bytes] | None = None
        self._images = 0
        self._talking: asyncio.Task[None] | None = None
        self._later: deque[Request] = deque()
        self._loop = asyncio.get_running_loop()
        self._plays_until = 0.0

    def spoke(self, seconds: float) -> None:
        """So much of the model's voice was sent, which takes as long to be played."""
        self._plays_until = max(self._plays_until, self._loop.time()) + seconds

    async def take(self, message: dict[str, Any]) -> None:
        """Take a message."""
        if "realtime_input" in message:
            await self._realtime(message["realtime_input"])
        elif "client_content" in message:
            await self._content(message["client_content"])
        elif "tool_response" in message:
            await self._results(message["tool_response"]["functionResponses"])
        elif "contextUpdate" in message:
            await self._update(message["contextUpdate"])
        else:
            await self._connection.close(
                1007, f"Invalid JSON payload received. Unknown name {next(iter(message), '')!r}"
            )

    async def _update(self, given: dict[str, Any]) -> None:
        connection = self._connection
        connection.note("contextUpdate", given)
        if "tools" not in given:
            return
        tools = given["tools"].get("tools", [])
        unfit = refusal_of_tools(connection.setup["model"], tools)
        if unfit is not None:
            await connection.close(1007, unfit)
            return
        connection.declare(tools)

    # --- the user's turn ---

    async def _realtime(self, given: dict[str, Any]) -> None:
        connection = self._connection
        if "audio" in given:
            await self._audio(base64.urlsafe_b64decode(given["audio"]["data"]))
        elif "video" in given:
            self._images += 1
            data = base64.urlsafe_b64decode(given["video"]["data"])
            connection.note("video", (given["video"]["mime_type"], data))
        elif "text" in given:
            connection.note("text", given["text"])
            await self._answer(self._asked(text=given["text"]))
        elif "activityStart" in given or "activityEnd" in given:
            await self._activity("activityStart" if "activityStart" in given else "activityEnd")
        elif "audioStreamEnd" in given:
            connection.note("audioStreamEnd")
            if self._vad is None:
                await connection.close(1007, "audioStreamEnd needs automatic activity detection.")
            elif self._vad.flush():
                await self._user_stops()

    async def _activity(self, name: str) -> None:
        self._connection.note(name)
        if self._vad is not None:
            await self._connection.close(
                1007, "Explicit activity control is not supported when automatic detection is enabled."
            )
        elif name == "activityStart":
            await self._user_starts()
        else:
            await self._user_stops()

    async def _audio(self, data: bytes) -> None:
        self._connection.note("audio", data)
        verdict = None if self._vad is None else self._vad.feed(np.frombuffer(data, "<i2"))
        if verdict == "start":
            await self._user_starts()
        if self._turn is not None:
            self._turn.append(data)
        if verdict == "stop":
            await self._user_stops()

    async def _user_starts(self) -> None:
        if self._connection.interruptible:
            if self._talking is None and self._loop.time() < self._plays_until:
                # What was said in full is interrupted while it is played; that turn is not closed again.
                await self._connection.send({"serverContent": {"interrupted": True}})
            await self.cancel()
        self._plays_until = 0.0
        self._turn = []

    async def _user_stops(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            await self._answer(self._asked(audio=b"".join(turn)))

    async def _content(self, content: dict[str, Any]) -> None:
        self._connection.note("client_content", content)
        session = self._connection.session
        turns = content.get("turns", [])
        said = [
            HistoryMessage(turn["role"], "".join(part.get("text", "") for part in turn["parts"]))
            for turn in turns
        ]
        if not content.get("turnComplete"):
            session.history += tuple(said)
            await self._connection.send_handle()
            return
        session.history += tuple(said[:-1])
        await self._answer(self._asked(text=said[-1].text if said else ""))

    def _asked(
        self, *, audio: bytes = b"", text: str = "", results: tuple[tuple[str, Any], ...] = ()
    ) -> Request:
        images, self._images = self._images, 0
        return Request(audio, text, results, images)

    # --- what tools answered ---

    async def _results(self, responses: list[dict[str, Any]]) -> None:
        connection = self._connection
        session = connection.session
        connection.note("tool_response", responses)
        model = connection.setup["model"]
        for response in responses:
            unfit = refusal_of_response(model, response)
            if unfit is not None:
                await connection.close(1007, unfit)
                return
            if response["id"] not in session.pending:
                await connection.close(1007, f"No function call with id {response['id']} is pending.")
                return
            if not response.get("will_continue"):
                session.pending -= {response["id"]}
                session.answered |= {response["id"]}
        if is_extended(model) and any(each.get("will_continue") for each in responses):
            # The model lets go of a call that tells of its progress, and says nothing.
            session.pending -= {each["id"] for each in responses}
            return
        request = self._asked(results=tuple((each["id"], each.get("response")) for each in responses))
        await self._schedule(request, responses[-1])

    async def _schedule(self, request: Request, response: dict[str, Any]) -> None:
        """Schedule the model's words about an answer, by the docs of `FunctionResponse.scheduling`."""
        name = self._connection.session.calls.get(response["id"], "")
        scheduling = response.get("scheduling", "WHEN_IDLE")
        if not self._connection.in_background(name) or scheduling == "INTERRUPT":
            await self._answer(request)
        elif scheduling == "SILENT":
            self._connection.session.history += (request.said(),)
        elif self._talking is None:
            await self._answer(request)
        else:
            self._later.append(request)

    # --- what the model says ---

    async def _answer(self, request: Request) -> None:
        await self.cancel()
        self._begin(request)

    def _begin(self, request: Request) -> None:
        connection = self._connection
        connection.session.history += (request.said(),)
        heard = len(request.audio) * TOKENS_PER_SECOND // (2 * INPUT_RATE)
        connection.add_usage(heard, request.images * _TOKENS_PER_IMAGE)
        self._talking = asyncio.create_task(self._talk(self._next_answer(), request))

    async def _talk(self, answer: Callable[[Request], Awaitable[None]], request: Request) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            await answer(request)
        except ConnectionClosed:
            pass
        finally:
            self._talking = None
        if self._later and not self._connection.closed.is_set():
            self._begin(self._later.popleft())

    async def cancel(self) -> None:
        """The user interrupts: what is being generated ends, and so does the turn."""
        from websockets.exceptions import ConnectionClosed

        talking, self._talking = self._talking, None
        if talking is None or talking is asyncio.current_task():
            return
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        try:
            await self._connection.send({"serverContent": {"interrupted": True}})
            await self._connection.send({"serverContent": {"turnComplete": True}})
            await self._connection.send_handle()
        except ConnectionClosed:
            pass
