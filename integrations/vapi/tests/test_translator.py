"""Where replies begin and end on a socket that does not say: the pure part, by hand-written seconds."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fishjam_agents_vapi.translator import Translator

from fishjam_agents.backends import port

SOUND = np.full(320, 5000, "<i2").tobytes()
SILENCE = bytes(640)
STARTED = '{"type": "speech-update", "role": "assistant", "status": "started"}'
STOPPED = '{"type": "speech-update", "role": "assistant", "status": "stopped"}'
INTERRUPTED = '{"type": "user-interrupted"}'


def play(*steps: tuple[float, str | bytes | None]) -> list[port.BackendEvent]:
    events: list[port.BackendEvent] = []
    translator = Translator(events.append, "v")
    for now, step in steps:
        if isinstance(step, bytes):
            translator.audio(step, now)
        elif step is None:
            translator.tick(now)
        else:
            translator.message(step, now)
    return [event for event in events if not isinstance(event, port.VendorEvent)]


def told(events: list[port.BackendEvent]) -> list[str]:
    def one(event: Any) -> str:
        name = type(event).__name__.removeprefix("Reply")
        return f"{name} {event.reply}" if getattr(event, "reply", None) else name

    return [one(event) for event in events]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # An open line is no reply.
        ([(0, SILENCE), (0.02, SILENCE), (2, None)], []),
        # Sound begins one, also before it is announced, and silence within it belongs to it.
        (
            [
                (0, SOUND),
                (0.01, STARTED),
                (0.02, SILENCE),
                (0.04, SOUND),
                (0.05, STOPPED),
                (0.1, None),
                (0.3, None),
            ],
            ["Started v-1", "Audio v-1", "Audio v-1", "Audio v-1", "AudioEnded v-1"],
        ),
        # A pause of an announced reply does not end it.
        (
            [(0, STARTED), (0, SOUND), (5, None), (5, SOUND), (15, None)],
            ["Started v-1", "Audio v-1", "Audio v-1", "AudioEnded v-1"],
        ),
        # One that was never announced ends when it has been quiet for a second.
        (
            [(0, SOUND), (0.9, None), (1.0, None), (1.5, SOUND)],
            ["Started v-1", "Audio v-1", "AudioEnded v-1", "Started v-2", "Audio v-2"],
        ),
        # Audio in flight when the user interrupts belongs to nothing.
        (
            [(0, STARTED), (0, SOUND), (0.02, INTERRUPTED), (0.04, SOUND), (0.06, SOUND), (0.3, SOUND)],
            ["Started v-1", "Audio v-1", "Interrupted", "Started v-2", "Audio v-2"],
        ),
        # What is announced after an interruption is the next reply, however soon.
        (
            [(0, SOUND), (0.02, INTERRUPTED), (0.03, STARTED), (0.04, SOUND)],
            ["Started v-1", "Audio v-1", "Interrupted", "Started v-2", "Audio v-2"],
        ),
        # An odd byte waits for its other half.
        ([(0, SOUND[:3]), (0, SOUND[3:])], ["Started v-1", "Audio v-1", "Audio v-1"]),
        # A reply announced while another one stops ends that one.
        ([(0, STARTED), (0, STOPPED), (0.05, STARTED)], ["Started v-1", "AudioEnded v-1", "Started v-2"]),
    ],
)
def test_replies_begin_and_end(steps: Any, expected: list[str]) -> None:
    assert told(play(*steps)) == expected


def test_words_before_their_reply_wait_for_it_and_those_of_a_turn_that_never_spoke_are_dropped() -> None:
    def output(text: Any, turn: int) -> str:
        return json.dumps({"type": "model-output", "output": text, "turnId": str(turn)})

    events = play(
        (0, output("never", 1)), (1, output([{"tool": 1}], 2)), (2, output("Hello", 2)), (3, STARTED)
    )
    assert [event.text for event in events if isinstance(event, port.ReplyTextDelta)] == ["Hello"]


@pytest.mark.parametrize("text", ["no json", "[1]", '{"type": 3}', '{"type": "hang", "x": ' + "[" * 100_000])
def test_what_is_no_message_is_a_warning(text: str) -> None:
    (event,) = play((0, text))
    assert event == port.BackendWarning("Vapi sent a message that is none: it was left out")


@pytest.mark.parametrize(
    ("kind", "transcript_type", "final"),
    [
        ("transcript", "partial", False),
        ("transcript", "final", True),
        ('transcript[transcriptType="final"]', "final", True),
        ('transcript[transcriptType="final"]', None, True),
        ("transcript[transcriptType='final']", None, True),
        ('transcript[transcriptType="partial"]', "partial", False),
    ],
)
def test_transcripts_are_final_by_their_field_or_their_type(
    kind: str, transcript_type: str | None, final: bool
) -> None:
    message = {"type": kind, "role": "user", "transcript": "Hello", "transcriptType": transcript_type}
    (event,) = play((0, json.dumps(message)))
    assert event == port.UserTranscript("Hello", final)


@pytest.mark.parametrize(
    ("words", "at", "reply"), [(None, 29, "r1"), (None, 31, "v-1"), ("Hello.", 31, "r1")]
)
def test_a_reply_is_what_was_asked_for_unless_that_never_came(
    words: str | None, at: float, reply: str
) -> None:
    events: list[port.BackendEvent] = []
    translator = Translator(events.append, "v")
    translator.expect("r1", words, 0)
    translator.audio(SOUND, at)
    assert told(events)[0] == f"Started {reply}"
