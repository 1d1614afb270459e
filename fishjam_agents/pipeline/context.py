"""Context of a call, given to each of its parts."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.resampling import live_resampler
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.port import Capabilities
from fishjam_agents.events import Event
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline.bot import Bot
from fishjam_agents.pipeline.call_end import CallEnd
from fishjam_agents.pipeline.event_stream import EventStream
from fishjam_agents.pipeline.hooks import Hooks
from fishjam_agents.pipeline.peer_names import PeerNames
from fishjam_agents.pipeline.redaction import EventRedaction
from fishjam_agents.pipeline.redactor import Redactor
from fishjam_agents.session import RoomView
from fishjam_agents.turns.settings import TurnSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """Identity, clock, events, hooks and settings of one call.

    Attributes:
        id: Id of the call.
        loop: The loop it runs on.
        zero: Loop time at which call time is zero.
        events: Its events.
        hooks: The bot's hooks.
        redactor: Changes texts to what may be shown of them.
        end: Its end.
        capabilities: Of the backend.
        turns: Settings of turn-taking.
        hearing: Whom the bot hears.
        peer_name: Gives the name of a peer.
        room_format: Format of the room's audio.
    """

    id: str
    loop: asyncio.AbstractEventLoop
    zero: float
    events: EventStream
    hooks: Hooks
    redactor: Redactor
    end: CallEnd
    capabilities: Capabilities
    turns: TurnSettings
    hearing: HearingSettings
    peer_name: Callable[[str], str]
    room_format: AudioFormat
    _turns: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def begin(cls, bot: Bot, room: RoomView | None, room_format: AudioFormat) -> CallContext:
        """Begin a call now.

        Args:
            bot: The user's bot.
            room: What is known of the room, or None.
            room_format: Format of the room's audio.
        """
        call = bot.next_call_id or uuid.uuid4().hex[:8]
        loop = asyncio.get_running_loop()
        zero = loop.time()
        stream = EventStream(bot.observers)
        hooks = Hooks(bot, stream.emit, lambda: loop.time() - zero)
        redactor = Redactor(call, bot.redact, hooks, stream.emit, lambda: loop.time() - zero)
        if hooks.has("redact"):
            stream.redaction = EventRedaction(redactor.text)
        return cls(
            id=call,
            loop=loop,
            zero=zero,
            events=stream,
            hooks=hooks,
            redactor=redactor,
            end=CallEnd(call),
            capabilities=bot.backend.capabilities,
            turns=bot.turns,
            hearing=bot.hearing,
            peer_name=PeerNames(room),
            room_format=room_format,
        )

    def now(self) -> float:
        """Call time, seconds."""
        return self.loop.time() - self.zero

    @property
    def redact(self) -> Callable[[str], str | None] | None:
        """The bot's way to hide words, which returns None for nothing to show; None where it hides none."""
        return None if self.events.redaction is None else self.redactor.text

    def emit(self, event: Event) -> None:
        """Publish an event to everyone who subscribed."""
        self.events.emit(event)

    def start_hook(self, name: str, *arguments: object) -> None:
        """Start a hook of the bot, if it overrides it."""
        self.hooks.start(name, *arguments)

    def next_turn_id(self) -> str:
        """Make an id for a turn, unique in the call."""
        return f"turn-{next(self._turns)}"

    def make_resampler(self) -> Callable[[Samples], Samples]:
        """Make a function that resamples the room's audio to the backend's rate.

        A resampler has a past, so that each voice needs its own.
        """
        source, target = self.room_format.sample_rate, self.capabilities.input_rate or 16000
        return unchanged if source == target else live_resampler(source, target).process


def unchanged(samples: Samples) -> Samples:
    """Return the samples: the resampler of equal rates."""
    return samples
