"""Questions of the app to the model beside the conversation, and those who wait for their answers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from fishjam_agents.backends import port
from fishjam_agents.errors import BackendError


class OutOfBandRequests:
    """The questions of a call.

    Args:
        send: Passes a question to the backend, or to a peer's session of it.
    """

    def __init__(self, send: Callable[[port.OutOfBandInput, str | None], None]) -> None:
        self._send = send
        self._ids = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._closed = False

    async def ask(self, text: str, peer: str | None, within: float) -> str:
        """Ask, and wait for the answer.

        Raises:
            BackendError: There is none, or not in time.
        """
        if self._closed:
            raise BackendError("the call is over, nobody answers any more: ask before, as in on_ending")
        question = f"q{next(self._ids)}"
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[question] = answer
        try:
            self._send(port.OutOfBandInput(question, text), peer)
            async with asyncio.timeout(within):
                return await answer
        except TimeoutError as error:
            raise BackendError(
                f"the model did not answer a question within {within:g} s: give it longer", retryable=True
            ) from error
        finally:
            del self._waiting[question]

    def answered(self, event: port.OutOfBandResponse) -> None:
        """Pass an answer on; one that nobody waits for any more is passed over."""
        answer = self._waiting.get(event.question)
        if answer is None or answer.done():
            return
        if event.error is None:
            answer.set_result(event.text)
        else:
            sentence = f"the model did not answer a question ({event.error}): ask again"
            answer.set_exception(BackendError(sentence, retryable=True))

    def close(self) -> None:
        """Answer nothing any more: the call is over."""
        self._closed = True
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(BackendError("the call ended before the model had answered: ask sooner"))
