"""What recognisers write where nobody has said a word, and what is left of it."""

# ruff: noqa: RUF001 - other scripts have signs that look like ours
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.backends.cascade.nonspeech import spoken_words
from fishjam_agents.testing import VirtualClock
from tests.cascade.components import Answers, Speaks, Understands
from tests.cascade.drive import ENDED, drive

LOUD = (3000 * np.sin(np.arange(16000) / 9)).astype(np.int16)
SILENCE = np.ones(16000, np.int16)

NOTHING = [
    *("", " ", ".", "...", "…", "-", "?", "♪♪♪", "♪", "♪ ♪", "🎵", "🎵🎶", "😀"),
    *(
        "[BLANK_AUDIO]",
        " [BLANK_AUDIO]\n",
        "[ Silence ]",
        "[MUSIC]",
        "(upbeat music)",
        "(footsteps approaching)",
    ),
    *(
        "[BLANK_AUDIO] [BLANK_AUDIO]",
        "(coughs).",
        "*sigh*",
        "<noise>",
        "<|nospeech|>",
        "<|en|><|notimestamps|>",
    ),
    *(
        "[inaudible] ...",
        "(speaking in foreign language)",
        "♪ I will always love you ♪",
        "【音楽】",
        "（笑）",
        "{laughs}",
    ),
    *(
        "Thank you for watching",
        "Thanks for watching!",
        " Thank you for watching. ",
        "THANK YOU FOR WATCHING!!",
    ),
    *(
        "Please subscribe to my channel.",
        "Don't forget to like and subscribe!",
        "Thank you for watching. [Music]",
    ),
    *(
        "Subtitles by the Amara.org community",
        "Untertitel der Amara.org-Community",
        "Untertitel im Auftrag des ZDF",
    ),
    *("Sous-titres réalisés par la communauté d'Amara.org", "Субтитры сделал DimaTorzok", "Altyazı M.K."),
    *(
        "Vielen Dank fürs Zuschauen!",
        "ご視聴ありがとうございました。",
        "谢谢观看！",
        "시청해주셔서 감사합니다.",
        "Merci d'avoir regardé !",
    ),
    *(
        "Napisy stworzone przez społeczność Amara.org",
        "Transcription by CastingWords",
        "Gracias por ver el video.",
    ),
]


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_no_word_of_anybody_is_none(text: str) -> None:
    assert spoken_words(text, LOUD) == ""


@pytest.mark.parametrize("text", ["Thank you.", "you", "See you next time!"])
def test_what_is_often_made_up_of_silence_counts_only_where_there_was_sound(text: str) -> None:
    assert spoken_words(text, SILENCE) == ""
    assert spoken_words(text, LOUD) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" Hello there.\n", "Hello there."),
        ("[BLANK_AUDIO] Hello.", "Hello."),
        ("Yes. (laughs) No.", "Yes. No."),
        ("♪ Hello", "Hello"),
        ("(555) 123 4567", "(555) 123 4567"),
        ("(555)", "(555)"),
        ("Bye.", "Bye."),
        ("what is  A fish", "what is  A fish"),
        ("My number is [redacted] (at home).", "My number is [redacted] (at home)."),
        ("Thank you for watching my dog.", "Thank you for watching my dog."),
        ("Who made the subtitles?", "Who made the subtitles?"),
        ("I want to subscribe.", "I want to subscribe."),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("<|en|>Yes.<|endoftext|>", "Yes."),
        ("5", "5"),
        ("はい。", "はい。"),
        ("क्या?", "क्या?"),
    ],
)
def test_words_of_somebody_are_left(text: str, words: str) -> None:
    assert spoken_words(text, LOUD) == words
    assert spoken_words(text, SILENCE) == words


@given(st.text())
def test_nothing_raises_and_nothing_is_added(text: str) -> None:
    words = spoken_words(text, LOUD)
    assert len(words) <= len(text)
    assert words == "" or any(sign.isalnum() for sign in words)


@pytest.mark.parametrize("text", ["[BLANK_AUDIO]", ".", "(upbeat music)", "Thank you for watching"])
@pytest.mark.parametrize("preemptive", [False, True])
def test_a_turn_without_words_is_not_answered(
    virtual_clock: VirtualClock, text: str, preemptive: bool
) -> None:
    llm = Answers([["Yes?"]])
    cascade = Cascade([Understands([[text], ["Hello."]])], [llm], [Speaks()], preemptive=preemptive)
    told = drive(virtual_clock, cascade, [ENDED, 1.0, ENDED, 5.0])
    assert [[message.text for message in asked] for asked in llm.asked] == [["Hello."]]
    assert {event.text for event in told.of(port.UserTranscript)} == {"Hello."}
