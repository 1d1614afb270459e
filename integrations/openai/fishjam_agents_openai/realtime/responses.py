"""The model's responses: which is live, what of it may be said, when the next may be asked for."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from fishjam_agents.backends import port
from fishjam_agents.backends.arguments import read_arguments
from fishjam_agents.events import Heard
from fishjam_agents_openai.realtime.asked_replies import AskedReplies
from fishjam_agents_openai.realtime.failures import fatal, passes
from fishjam_agents_openai.realtime.history import RATE
from fishjam_agents_openai.realtime.memory import Memory
from fishjam_agents_openai.realtime.response import Response, could_not, deletion

Event = Mapping[str, Any]
CREATE = "create"
"""Id of the events that ask for a response."""
_DOUBT = 1.0
"""Seconds without anything more of a reply that is being given after which an error was its end."""
_REMEMBERED = 32
"""Replies of a connection that may still turn out to have been interrupted."""


class Responses:
    """All responses of a connection that belong to the conversation.

    Args:
        emit: Takes our events.
        memory: Of the call.
        later: Takes what the service is to be told next.
        begun: Called when the model begins to answer.
        over: Called when an answer does not come, and none is waited for any more.
        somebody_speaks: Returns whether a turn of the user is open.

    Attributes:
        latest: Id of the last reply that had sound, None before the first and once it was cut.
    """

    def __init__(
        self,
        emit: Callable[[port.BackendEvent], None],
        memory: Memory,
        later: Callable[[dict[str, Any]], None],
        begun: Callable[[], None],
        over: Callable[[], None] = lambda: None,
        somebody_speaks: Callable[[], bool] = lambda: False,
    ) -> None:
        self._somebody_speaks = somebody_speaks
        self.latest: str | None = None
        self._emit = emit
        self._memory = memory
        self._apps = AskedReplies(memory)
        self._later = later
        self._begun = begun
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._live: dict[str, Response] = {}
        self._replies: OrderedDict[str, Response] = OrderedDict()
        self._asked = False
        self._wanted = False
        self._stillborn = False
        self._retried = False
        self._settling: asyncio.TimerHandle | None = None
        self._plays_until = 0.0

    @property
    def quiet(self) -> bool:
        """True while nothing is generated, asked for or, as far as can be known, still being played."""
        wanted = self._wanted or bool(self._memory.asked)
        return not (self._live or self._asked or wanted) and self._loop.time() >= self._plays_until

    # --- asking ---

    def ask(self) -> None:
        """An answer is wanted: now, or when the response that is live is done.

        While tools run it is the last of their results that asks.
        """
        self._memory.owed = True
        self._retried = False
        self._ask()

    def _ask(self) -> None:
        if self._memory.pending:
            return
        if self._asked or any(response.doubt is None for response in self._live.values()):
            self._wanted = True
            return
        self._asked, self._wanted = True, False
        self._create(self._apps.followed())

    def _create(self, response: dict[str, Any] | None) -> None:
        fields = {} if response is None else {"response": response}
        self._later({"type": "response.create", "event_id": CREATE, **fields})

    def respond(self, reply: str, instructions: str) -> None:
        """Ask for a reply of the app's, when all that was asked for before is done."""
        self._memory.asked[reply] = instructions
        self.ask_next()

    def refused(self, error: Event) -> bool:
        """Note that what was asked for is not given.

        Returns:
            Whether that is dealt with; else nobody has been told of the error.
        """
        stillborn, asked = self._stillborn, self._apps.refused()
        self._asked = self._stillborn = False
        if error.get("code") == "conversation_already_has_active_response":
            for response in self._live.values():
                response.doubt = None
            if asked is not None:
                return True
            # A second attempt was not needed after all where the first is alive.
            self._wanted = not (self._retried and any(not live.dead for live in self._live.values()))
            return True
        if not stillborn and asked is not None:
            self._give_up(asked, error)
        elif not stillborn:
            self._lost(error)
        return not stillborn

    def doubted(self, error: Event) -> bool:
        """The service has stumbled, and does not say over what: what it owes may never come.

        Returns:
            As `refused`.
        """
        if self._asked and passes(error):
            return self.refused(error)
        if self._asked:
            # If the error was about something else, asking again does no harm.
            self._asked = self._stillborn
            return False
        if not passes(error):
            return False
        live = [response for response in self._live.values() if not response.dead]
        for response in self._live.values():
            response.doubt = error
        if self._live:
            self._settling = self._settling or self._loop.call_later(_DOUBT, self._settle)
        if any(response.started for response in live):
            return True
        if live and live[0].asked:
            live[0].dead = True
            self._give_up(live[0].reply, error)
            return True
        if live or self._memory.owed:
            self._lost(error)
            return True
        return False

    def _lost(self, error: Event) -> None:
        """An answer does not come: it is asked for once more where that may help, else it is told of."""
        if passes(error) and not self._retried:
            self._retried = True
            self._ask()
            return
        self._end_doubtful()
        ended = fatal(error)
        self._memory.owed = False
        self._over()
        self._emit(port.Unanswered(could_not(error), "network" if ended is None else ended.failure))
        self.ask_next()

    def _give_up(self, reply: str, error: Event) -> None:
        """A reply of the app's does not come."""
        self._memory.follows = None
        self._apps.begun(reply)
        self._nothing_comes(reply)
        self._emit(port.BackendWarning(could_not(error)))
        self.ask_next()

    def _nothing_comes(self, reply: str) -> None:
        """Whoever waits for the end of what is said is not to wait for ever."""
        self._emit(port.ReplyStarted(reply))
        self._emit(port.ReplyAudioEnded(reply))

    def _settle(self) -> None:
        """Nothing has come for a while: what was in doubt is over."""
        self._settling = None
        self._end_doubtful(but_unheard=self._asked)
        self.ask_next()

    def _end_doubtful(self, *, but_unheard: bool = False) -> None:
        for identity, response in tuple(self._live.items()):
            # Of one that was not heard, the second attempt in its place decides whether it is alive.
            waits = but_unheard and not (response.started or response.dead)
            if response.doubt is not None and not waits:
                del self._live[identity]
                self._end(response)
                if response.started and not response.dead:
                    self._emit(port.BackendWarning(could_not(response.doubt)))

    def ask_next(self) -> None:
        """Ask for what is wanted, unless the service is at something else.

        An answer goes first, then what the app asks for, while nobody speaks.
        """
        if self._asked:
            return
        busy = self._live or self._memory.pending or self._memory.owed
        if self._wanted:
            self.ask()
        elif self._apps.wanted and not busy and not self._somebody_speaks():
            self._asked = True
            self._create(self._apps.request())

    def cut(self, heard: Heard | None) -> Iterator[dict[str, Any]]:
        """Yield the messages by which the service learns of an interruption.

        Args:
            heard: What was heard of the reply that was interrupted.
        """
        named = None if heard is None else heard.reply
        unbegun = named is not None and self._apps.takes_back(named)
        if not unbegun:
            self._wanted = self._memory.owed = False
            self._plays_until = 0.0
        if self._asked and (self._apps.under_way == named if unbegun else self._apps.under_way is None):
            # It will be there by the time this arrives: the service takes one event after the other.
            self._stillborn = True
            yield {"type": "response.cancel", "event_id": "cancel"}
        for identity, live in self._live.items():
            ends = live.reply == named if unbegun or live.asked else True
            if ends and not live.dead:
                live.dead = True
                yield {"type": "response.cancel", "event_id": "cancel", "response_id": identity}
        if heard is None or unbegun:
            return
        response = self._replies.get(heard.reply)
        if response is None:
            # Of an earlier connection: its items are not here, but what was told of them may be.
            yield from self._memory.history.heard(heard.reply, heard.text)
            return
        complete, response.dead = response.done, True
        if self.latest == heard.reply:
            self.latest = None
        for _ in self._memory.history.heard(heard.reply, heard.text):
            pass
        left = heard.seconds
        for item, seconds in response.items.items():
            played = min(max(left, 0.0), seconds)
            left -= seconds
            if int(played * 1000) <= 0:
                yield deletion(item)
            elif played < seconds or not complete:
                # More than there is would be an error: rounded down. Of what is not done more is on its way.
                yield {
                    "type": "conversation.item.truncate",
                    "event_id": "truncate",
                    "item_id": item,
                    "content_index": 0,
                    "audio_end_ms": int(played * 1000),
                }

    # --- what the service tells ---

    def handle(self, event: Event) -> bool:
        """Take an event about a response of the conversation; False for others."""
        kind: str = event["type"]
        alive = self._live.get(event.get("response_id") or "")
        if alive is not None:
            alive.doubt = None
        if kind == "response.created":
            self._created(event.get("response") or {})
        elif kind == "response.done":
            self._done(event.get("response") or {})
        elif kind in ("response.output_audio.delta", "response.audio.delta"):
            response = self._speaking(event)
            if response is not None:
                self._sound(response, event.get("item_id") or "", event.get("delta") or "")
        elif kind in ("response.output_audio_transcript.delta", "response.audio_transcript.delta"):
            response = self._speaking(event)
            if response is not None and event.get("delta"):
                # Words run ahead of their sound; an answer that was not heard is none.
                response.early.append(event["delta"])
                if response.started:
                    self._say(response)
        else:
            return kind.startswith("response.")
        return True

    def close(self) -> None:
        """The connection is over: so is what it was saying."""
        if self._settling is not None:
            self._settling.cancel()
        for response in self._live.values():
            self._end(response)
        self._live.clear()

    def _created(self, told: Event) -> None:
        self._asked = False
        # One at a time: where there is a new one, what was in doubt is over.
        self._end_doubtful()
        follows = self._memory.follows
        asked = self._apps.created(told)
        self._memory.replies += asked is None
        response = Response(asked or f"openai-{self._memory.replies}", dead=self._stillborn)
        response.asked, response.answers = asked is not None, asked is None or asked == follows
        self._stillborn = False
        self._live[told.get("id") or ""] = self._replies[response.reply] = response
        if len(self._replies) > _REMEMBERED:
            self._replies.popitem(last=False)

    def _speaking(self, event: Event) -> Response | None:
        response = self._live.get(event.get("response_id") or "")
        return None if response is None or response.dead else response

    def _start(self, response: Response) -> None:
        if not response.started:
            response.started = True
            self._answers(response)
            self._emit(port.ReplyStarted(response.reply))
            self._say(response)

    def _answers(self, response: Response) -> None:
        """The model answers: the user, or the app."""
        if response.asked:
            self._apps.begun(response.reply)
        if response.answers:
            self._memory.owed = False
        self._retried = False
        self._begun()

    def _say(self, response: Response) -> None:
        for words in response.early:
            self._memory.history.spoken(response.reply, words)
            self._emit(port.ReplyTextDelta(response.reply, words))
        response.early.clear()

    def _sound(self, response: Response, item: str, delta: str) -> None:
        try:
            data = base64.b64decode(delta, validate=True)
        except (binascii.Error, ValueError):
            self._emit(port.BackendWarning("OpenAI Realtime sent sound that is none: it was left out"))
            return
        samples = np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16, copy=False)
        if not len(samples):
            return
        self._start(response)
        self.latest = response.reply
        seconds = len(samples) / RATE
        response.items[item] = response.items.get(item, 0.0) + seconds
        self._plays_until = max(self._plays_until, self._loop.time()) + seconds
        self._emit(port.ReplyAudio(response.reply, samples))

    def _end(self, response: Response) -> None:
        if response.started and not response.done:
            self._emit(port.ReplyAudioEnded(response.reply))
        response.done = True

    def _done(self, told: Event) -> None:
        response = self._live.pop(told.get("id") or "", None)
        if response is None:
            return
        status = told.get("status")
        if status == "completed" and response.early and not response.dead:
            # Words without any sound.
            self._start(response)
        self._end(response)
        if response.dead:
            self._forget(response, told)
        elif status == "failed" and not response.started:
            self._failed(told, response)
        else:
            self._answers(response)
            self._broken_off(told, heard=response.started)
            called = status == "completed" and self._call(told)
            if response.asked and called and not response.started:
                self._memory.follows = response.reply
            elif response.asked and not response.started:
                self._nothing_comes(response.reply)
        self.ask_next()

    def _failed(self, told: Event, response: Response) -> None:
        error = (told.get("status_details") or {}).get("error") or {}
        ended = fatal(error)
        if ended is not None and not ended.retryable:
            raise ended
        if response.asked:
            self._give_up(response.reply, error)
        else:
            self._lost(error)

    def _broken_off(self, told: Event, *, heard: bool) -> None:
        """Tell of an answer that is one only in part, or not at all."""
        details = told.get("status_details") or {}
        if told.get("status") == "failed":
            error = details.get("error") or {}
            ended = fatal(error)
            if ended is not None and not ended.retryable:
                raise ended
            self._emit(port.BackendWarning(could_not(error)))
        elif told.get("status") == "incomplete":
            reason = details.get("reason") or "no reason given"
            if heard:
                self._emit(port.BackendWarning(f"the model stopped in the middle of its answer ({reason})"))
            else:
                self._emit(port.Unanswered(f"the model stopped before its answer ({reason})", "protocol"))

    def _forget(self, response: Response, told: Event) -> None:
        """Delete items of an interrupted response that nobody had heard of when it was."""
        for item in told.get("output") or ():
            if item.get("type") == "message" and item.get("id") and item["id"] not in response.items:
                self._later(deletion(item["id"]))

    def _call(self, told: Event) -> bool:
        """Have tools called; return whether there was one."""
        called = False
        for item in told.get("output") or ():
            if item.get("type") != "function_call":
                continue
            call, name = item.get("call_id") or item.get("id") or "", item.get("name") or ""
            given = item.get("arguments") or "{}"
            if self._memory.called(call, name, given if isinstance(given, str) else json.dumps(given)):
                called = True
                self._emit(port.ToolCall(call, name, *read_arguments(given)))
        return called
