"""Settings of whom the bot hears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from fishjam_agents.audio.detectors import DETECTORS, DetectorName
from fishjam_agents.audio.second_opinion import NETWORKS, NetworkName
from fishjam_agents.errors import SettingError

EchoName = Literal["guard", "aec3", "none"]
ECHOES: tuple[EchoName, ...] = get_args(EchoName)
"""Choices of `hearing.echo`."""


@dataclass(frozen=True, slots=True)
class HearingSettings:
    """Whom the bot hears.

    Attributes:
        mode: `active_speaker`: the first to speak holds the floor until their turn ends, the others are
            heard next. `mix`: all voices in one sum, with one turn-taking. `per_peer`: every peer has a
            backend session of their own, and the replies take turns.
        agents: Whether other bots are heard.
        tracks: Values of a track's metadata `type` that count as a microphone; a track without a type
            always does.
        speaker_notes: Whether a backend that takes text is told who speaks ("[Ann speaks]"), before the turn,
            whenever that is somebody else than before. Not with `per_peer`, where everybody has a model of
            their own.
        interrupts: With `per_peer`, whose speech ends a reply: `addressee`, that of the one it answers, or
            `anybody`. In the other modes anybody interrupts.
        max_sessions: With `per_peer`, how many backend sessions are open at most. Who comes when all are
            taken gets the next that is free.
        vad: The voice detector: `default`; `silero` where music or a television plays (the extra `silero`);
            `webrtc` or `energy` alone. How readily it hears speech is `turns.preset`.
        second_opinion: Whom the detector is corrected by where it may be wrong: `silero` (the extra) knows
            music, typing and cries from speech, and is asked about the frames that matter only
            (`audio.second_opinion`). None: nobody.
        near_voice: Whether a microphone follows the speaker it belongs to: once their level is known, voices
            10 dB and more below neither begin, hold nor interrupt (`audio.near_voice`). For telephones and
            headsets; not where several people share a microphone, nor in a `mix`.
        echo: How the bot's own voice, come back through a loudspeaker, is kept from interrupting it and from
            the model. `guard`: it counts as noise. `aec3`: it is taken out of the sound, too, by WebRTC's
            echo canceller (the extra `aec3`), so that callers interrupt who are no louder than it. `none`:
            nothing is done.
    """

    mode: Literal["active_speaker", "mix", "per_peer"] = "active_speaker"
    agents: bool = False
    tracks: tuple[str, ...] = ("microphone",)
    speaker_notes: bool = False
    interrupts: Literal["addressee", "anybody"] = "addressee"
    max_sessions: int = 4
    vad: DetectorName = "default"
    second_opinion: NetworkName | None = None
    near_voice: bool = False
    echo: EchoName = "guard"

    def __post_init__(self) -> None:
        if self.vad not in DETECTORS:
            raise SettingError(
                "vad", f"is {self.vad!r}", f"use one of {', '.join(DETECTORS)}", section="hearing"
            )
        if self.second_opinion is not None and self.second_opinion not in NETWORKS:
            raise SettingError(
                "second_opinion",
                f"is {self.second_opinion!r}",
                f"use one of {', '.join(NETWORKS)}, or leave it out",
                section="hearing",
            )
        if self.second_opinion == self.vad:
            raise SettingError(
                "second_opinion",
                f"is {self.vad!r}, and so is hearing.vad: it would be asked twice",
                "keep one of them",
                section="hearing",
                fields=["vad"],
            )
        if self.echo not in ECHOES:
            raise SettingError(
                "echo", f"is {self.echo!r}", f"use one of {', '.join(ECHOES)}", section="hearing"
            )
        if not 1 <= self.max_sessions <= 64:
            raise SettingError(
                "max_sessions", f"must be between 1 and 64, not {self.max_sessions}", section="hearing"
            )
        if self.near_voice and self.mode == "mix":
            raise SettingError(
                "near_voice",
                "does nothing good in a mix, where voices of any level are one sum",
                "remove it, or use another hearing.mode",
                section="hearing",
                fields=["mode"],
            )
        if self.speaker_notes and self.mode == "per_peer":
            raise SettingError(
                "speaker_notes",
                "does nothing with per_peer, where everybody has a session",
                "remove it",
                section="hearing",
            )
