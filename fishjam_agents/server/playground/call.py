"""Interface of a call that the playground shows; whoever runs the bot implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Controls:
    """Controls of the page beside a microphone.

    Attributes:
        push_to_talk: Whether turns are opened by a button (`turns.mode: push_to_talk`).
        text: Whether the bot takes what is written.
        interrupt: Whether it can be silenced.
        camera: Whether it sees.
    """

    push_to_talk: bool = False
    text: bool = False
    interrupt: bool = False
    camera: bool = False

    def as_json(self) -> dict[str, bool]:
        """As the page gets them."""
        return {
            "push_to_talk": self.push_to_talk,
            "text": self.text,
            "interrupt": self.interrupt,
            "camera": self.camera,
        }


class PlaygroundCall(Protocol):
    """One call of a bot. Everything but `report` returns at once, on the server's loop."""

    @property
    def id(self) -> str | None:
        """Id of the call, None until it has begun."""
        ...

    @property
    def room_id(self) -> str:
        """Its room."""
        ...

    @property
    def bot_peer(self) -> str:
        """The bot's peer."""
        ...

    @property
    def bot(self) -> str:
        """Name of the bot."""
        ...

    @property
    def controls(self) -> Controls:
        """Controls for holders of a token that has them."""
        ...

    def now(self) -> float:
        """Call time, seconds; zero until it has begun."""
        ...

    def submit_text(self, text: str, peer: str | None) -> None:
        """Take what a person wrote.

        Args:
            text: The words.
            peer: Who, as far as it is known.

        Raises:
            FishjamAgentsError: The bot cannot.
        """
        ...

    def interrupt(self) -> None:
        """Silence the bot.

        Raises:
            FishjamAgentsError: It cannot be.
        """
        ...

    async def report(self, events: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> bytes:
        """The call up to now as a page, `report.html`, in UTF-8.

        Args:
            events: Its events, as far as they are kept.
            names: Peer ids to what to call them.
        """
        ...

    def record(self) -> str:
        """Record of the call up to now for `replay`: `call.jsonl`."""
        ...
