"""A game host for several people: it asks riddles, the first to speak has the floor, the others are next."""

from __future__ import annotations

import asyncio

from recorded_host import RIDDLES, RecordedHost

from fishjam_agents import AgentPipeline, Backend, HearingSettings, SpeechHandle, Turn

PAUSE = 2.0
"""Seconds of quiet after the last answer, before the next riddle."""
PATIENCE = 8.0
"""Seconds of quiet after a riddle that nobody answers."""


class RiddleMaster(AgentPipeline):
    """Keeps the pace of the game; what is said is the model's."""

    backend: Backend = RecordedHost()
    hearing = HearingSettings(mode="active_speaker", speaker_notes=True)
    instructions = (
        "You are the host of a game of riddles for several people in one call. Notes in square brackets tell "
        "you who speaks: use their names. When you are asked for a riddle, ask one, in a sentence, and say "
        "nothing else. To each answer say whether it is right, and to the first right one that its speaker "
        "has won. When you are asked to end the game, say who won and say goodbye."
    )

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.answers = 0
        self.moves = 0

    async def on_peer_joined(self, peer: str) -> None:
        """The game begins when the first player is there, after a moment for the others."""
        if self.asked == 0:
            self.asked = 1
            await asyncio.sleep(1.0)
            self.ask()

    def ask(self) -> None:
        """Go on to the next riddle, or to the end."""
        self.answers = 0
        self.send_text("Ask the next riddle." if self.asked <= RIDDLES else "End the game.")

    async def on_speech_started(self, peer: str | None) -> None:
        """Somebody is about to answer: no hurry."""
        self.moves += 1

    async def on_turn(self, turn: Turn) -> None:
        """Show who answered; the model is told by the pipeline."""
        self.moves += 1
        self.answers += 1
        if turn.peer is not None:
            print(f"{self.peer_name(turn.peer)} answered in {turn.end - turn.start:.1f} s")

    async def on_reply_ended(self, speech: SpeechHandle) -> None:
        """Continue the game when nobody does or says anything for a while."""
        self.moves += 1
        wait = PAUSE if self.answers else PATIENCE
        asyncio.get_running_loop().call_later(wait, self.go_on, self.moves)

    def go_on(self, moves: int) -> None:
        """Ask the next riddle, if nothing has happened since."""
        if moves == self.moves and self.call_id is not None and self.speech is None and self.asked <= RIDDLES:
            self.asked += 1
            self.ask()
