"""Predictions of the end of turns, for a policy that hears them: asked at pauses, in a thread.

One thread serves all calls of the process, since a network on several cores costs more than it gains. Nobody
waits for an answer: what comes after its pause comes to nothing, and the policy decides without it.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any

from fishjam_agents import events
from fishjam_agents.audio.samples import Samples
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.turns.endpointing import EndOfTurn
from fishjam_agents.turns.policy_answers import probability

logger = logging.getLogger(__name__)

MAX_WAITING = 16
"""Questions of all calls that wait for the thread: at 50 ms each, later ones would be answered too late."""
_EXIT_DEADLINE = 1.0
"""Seconds that the end of the process waits for the answer that is being computed."""


class _PredictionThread(Executor):
    """The thread, begun with the first question. A daemon: what hangs in it keeps no process alive."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @property
    def is_busy(self) -> bool:
        """True while a question would be answered too late."""
        return self._queue.qsize() >= MAX_WAITING

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have `fn` called in the thread."""
        future: Future[Any] = Future()
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="end-of-turn", daemon=True)
                self._thread.start()
                atexit.register(self._finish)
        self._queue.put((future, partial(fn, *args, **kwargs)))
        return future

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            future, function = entry
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - it is raised again where the result is taken
                future.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
            else:
                future.set_result(result)

    def _finish(self) -> None:
        # What native code computes while the interpreter goes away can crash it.
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(_EXIT_DEADLINE)


_THREAD = _PredictionThread()


class EndOfTurnPredictor:
    """Asks a policy how turns sound, for the microphones of one call (`turn_sound.TurnPredictor`).

    Args:
        context: The call.
        policy: Is asked (`EndOfTurn.predict`).
    """

    def __init__(self, context: CallContext, policy: EndOfTurn) -> None:
        self._context = context
        self._policy = policy
        self._asked: dict[Microphone, asyncio.Future[Any]] = {}
        self._is_left_out = False

    def paused(self, microphone: Microphone, pause: float, sound: Samples) -> None:
        """Ask about a pause; an answer about an earlier one of the same microphone is of no use any more."""
        self.resumed(microphone)
        if self._is_left_out or _THREAD.is_busy:
            return
        asked_at = self._context.now()
        asked = self._context.loop.run_in_executor(_THREAD, self._policy.predict, sound)
        self._asked[microphone] = asked
        asked.add_done_callback(partial(self._answered, microphone, pause, asked_at))

    def resumed(self, microphone: Microphone) -> None:
        """Take a question back that has not been looked at."""
        asked = self._asked.pop(microphone, None)
        if asked is not None:
            asked.cancel()

    def _answered(
        self, microphone: Microphone, pause: float, asked_at: float, asked: asyncio.Future[Any]
    ) -> None:
        if self._asked.get(microphone) is asked:
            del self._asked[microphone]
        if asked.cancelled():
            return
        context = self._context
        try:
            answer = probability(self._policy.predict, asked.result())
        except Exception as error:  # noqa: BLE001 - the user's code; turns end without it
            self._leave_out(microphone, error)
            return
        if answer is None or microphone.machine.paused_since != pause:
            return
        microphone.machine.predicted(pause, answer)
        now = context.now()
        context.emit(
            events.EndOfTurnPredicted(
                *(now, pause, microphone.peer, microphone.track, round(answer, 4), round(now - asked_at, 4))
            )
        )

    def _leave_out(self, microphone: Microphone, error: Exception) -> None:
        """Tell once that the policy failed; the call goes on with what it decides without a prediction."""
        if self._is_left_out:
            return
        self._is_left_out = True
        context, name = self._context, type(self._policy).__name__
        logger.error(
            "%s.predict failed: turns of this call end without it",
            name,
            exc_info=error,
            extra={"call": context.id, "peer": microphone.peer},
        )
        message = f"{name}.predict failed ({error!r}): turns of this call end without it"
        context.emit(events.ErrorRaised(context.now(), message, "end_of_turn", microphone.peer))
        context.start_hook("on_error", error)


def make_predictor(context: CallContext) -> EndOfTurnPredictor | None:
    """Make what asks the policy of a call; None where it does not hear, or does not end the turns."""
    turns = context.turns
    return EndOfTurnPredictor(context, turns.ending) if turns.hears else None
