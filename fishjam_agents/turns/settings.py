"""Settings of turn-taking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fishjam_agents.errors import SettingError
from fishjam_agents.turns.dictation import Dictation
from fishjam_agents.turns.endpointing import Adaptive, EndOfTurn, Fixed
from fishjam_agents.turns.policies import BargeIn, BargeInPolicy
from fishjam_agents.turns.smart_turn import SmartTurn
from fishjam_agents.units import Seconds

# Policies in modules of their own, which settings may name.
EndOfTurn.types.update(dictation=Dictation, smart_turn=SmartTurn)


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """Turn-taking of one bot. All durations in seconds.

    Attributes:
        mode: Who decides where a turn begins and ends: `local` (our voice detection), `backend` (the
            model's own turn detection) or `push_to_talk` (the app, or the peer's metadata).
        silence_locally: With `mode: backend`, fall silent on our own suspicion before the model has
            said anything.
        preset: How easily sound counts as speech: `default`, `sensitive`, or `noisy` for loud places.
        end_of_turn: How it is decided that a turn is over (`turns.endpointing`).
        end_silence: Short for `end_of_turn: {type: fixed, seconds: ...}`: quiet that ends a turn.
        barge_in: What it takes to interrupt the bot: settings, or policies of your own (`turns.policies`).
        withdraw: Quiet after which a suspected barge-in is withdrawn and the bot goes on.
        verdict_timeout: With `mode: backend`, how long the model may take to confirm a suspicion.
        missing_limit: Absence of packets that ends a turn. Longer than `end_silence`, because a stalled
            network is not a finished sentence.
        max_turn: A longer turn is cut and its audio handed over.
        pre_roll: Audio before the onset that is handed over with a turn, so that no first sound is lost.
        enrich_within: Time that the hook `enrich` has to add text before the model answers a turn.
        release_delay: With `mode: push_to_talk`, how long a turn goes on after the button came up: the last
            word is still on its way then, as audio is later than the button by jitter buffers.
    """

    mode: Literal["local", "backend", "push_to_talk"] = "local"
    silence_locally: bool = True
    preset: Literal["default", "sensitive", "noisy"] = "default"
    end_of_turn: EndOfTurn = Adaptive()  # noqa: RUF009 - frozen
    end_silence: Seconds | None = None
    barge_in: BargeIn | tuple[BargeInPolicy, ...] = BargeIn()  # noqa: RUF009 - frozen
    withdraw: Seconds = 0.28
    verdict_timeout: Seconds = 1.0
    missing_limit: Seconds = 1.5
    max_turn: Seconds = 60.0
    pre_roll: Seconds = 0.3
    enrich_within: Seconds = 0.3
    release_delay: Seconds = 0.3

    def __post_init__(self) -> None:
        for name, low, high in (
            ("end_silence", 0.1, 10.0),
            ("withdraw", 0.1, 5.0),
            ("verdict_timeout", 0.1, 30.0),
            ("missing_limit", 0.3, 30.0),
            ("max_turn", 1.0, 600.0),
            ("pre_roll", 0.0, 0.5),
            ("enrich_within", 0.01, 5.0),
            ("release_delay", 0.0, 2.0),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SettingError(
                    name, f"must be between {low:g} and {high:g} seconds, not {value:g}", section="turns"
                )
        if self.end_silence is not None and self.end_of_turn != Adaptive():
            raise SettingError(
                "end_silence",
                "and turns.end_of_turn exclude each other",
                "keep one of them",
                section="turns",
                fields=["end_of_turn"],
            )

    @property
    def ending(self) -> EndOfTurn:
        """The policy that ends turns."""
        return self.end_of_turn if self.end_silence is None else Fixed(self.end_silence)

    @property
    def hears(self) -> bool:
        """True if the policy that ends turns is asked how they sound (`EndOfTurn.predict`)."""
        return self.mode == "local" and self.ending.hears

    @property
    def policies(self) -> tuple[BargeInPolicy, ...]:
        """Policies that an interruption must satisfy."""
        barge_in = self.barge_in
        return barge_in.policies() if isinstance(barge_in, BargeIn) else barge_in
