"""Capabilities of a backend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capabilities of a backend; checked when the pipeline is built, and tests are selected by them.

    Attributes:
        input_rate: Hz of the mono PCM it takes; 0 takes none.
        output_rate: Hz of the mono PCM it gives; 0 gives none.
        own_turn_detection: May own turns (`turns.mode: backend`).
        wants_turn_audio: Takes the audio of a whole turn with `TurnEndedInput`, none while it lasts.
        wants_pauses: Is told when the speaker of a turn pauses and goes on (`TurnPausedInput`), where our own
            voice detection rules over turns.
        wants_suspected: Takes the sound of what may become an interruption before it is one
            (`SpeechSuspectedInput`), where a policy waits for its words.
        truncate: Uses `Heard` to forget what was not heard.
        cancel: `InterruptInput` stops a reply being generated.
        images: Takes stills.
        tools: Calls tools.
        fixed_tools: The tools stay those that its session began with (`update`).
        slow_updates: New instructions and tools hold only after what is being said and done.
        background_tools: Talks on while a tool runs that does not block: takes progress and scheduling.
        text: Takes text (`send_text`).
        transcripts: Emits `UserTranscript` while the user speaks.
        pause_transcripts: Emits `PauseTranscript` at pauses that it is told of.
        verbatim_say: Speaks given words (`say`).
        enriches: Asks for text about a turn before its model does (`BackendContext.enrich`), with its words.
        respond: Says in its own words what the app asks for (`respond`).
        speaks_alone: Speaks given words without a session, too (`Backend.speak`), as for an apology.
        replies_wait: A reply is as good when it is played later than it was given, after what is said to
            somebody else (`hearing.mode: per_peer`). Not for models that take what they gave for said.
        control: Takes messages of its vendor's own (`control`).
        out_of_band: Answers questions beside the conversation, in writing (`ask`).
        conversation: Tells its model what was said before this process (`BackendContext.conversation`).
    """

    input_rate: int = 16000
    output_rate: int = 24000
    own_turn_detection: bool = False
    wants_turn_audio: bool = False
    wants_pauses: bool = False
    wants_suspected: bool = False
    truncate: bool = False
    cancel: bool = False
    images: bool = False
    tools: bool = False
    fixed_tools: bool = False
    slow_updates: bool = False
    background_tools: bool = False
    text: bool = False
    transcripts: bool = False
    pause_transcripts: bool = False
    verbatim_say: bool = False
    enriches: bool = False
    respond: bool = False
    speaks_alone: bool = False
    replies_wait: bool = False
    control: bool = False
    out_of_band: bool = False
    conversation: bool = False

    def hears_over_replies(self, turn_mode: str) -> bool:
        """Return whether words of users are understood while the bot speaks (`turns.mode` as it is set)."""
        # With turns of ours only who takes suspected sounds hears anything then.
        return self.transcripts and (turn_mode == "backend" or self.wants_suspected)
