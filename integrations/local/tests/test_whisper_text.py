"""What becomes of Whisper's tokens: text, repetitions, and words that can be told early."""

from __future__ import annotations

import numpy as np
import pytest
from fishjam_agents_local.whisper.model import _BYTES, decoded, is_repetitive, without_repeats
from fishjam_agents_local.whisper.turn_words import Agreement, is_falling_quiet, quietest


def test_tokens_are_bytes_of_any_script() -> None:
    assert (
        decoded(["<|en|>", "ĠGr", "Ã¼", "Ã", "Ł", "e", "Ċ", "<|endoftext|>"])
        == " Grü\N{LATIN SMALL LETTER SHARP S}e\n"
    )
    assert decoded([]) == ""
    assert decoded(["Ã"]) == "\N{REPLACEMENT CHARACTER}"
    # As the vocabulary is made: the same bytes, cut anywhere.
    letters = {byte: letter for letter, byte in _BYTES.items()}
    assert len(letters) == 256
    text = "Zażółć gęślą jaźń, \U0001f41f"
    assert decoded([letters[byte] for byte in text.encode()]) == text


@pytest.mark.parametrize(
    ("text", "once"),
    [
        (" Oh, oh, oh, oh, oh, oh, oh, oh, oh, oh, oh, oh", " Oh,"),
        (
            " Call me back. I will see. I will see. I will see. I will see. I will see.",
            " Call me back. I will see.",
        ),
        (" No, no, no.", " No, no, no."),
    ],
)
def test_what_is_said_again_and_again_is_said_once(text: str, once: str) -> None:
    assert without_repeats(text) == once


def test_only_a_text_in_circles_is_repetitive() -> None:
    assert is_repetitive(" ." * 50)
    assert is_repetitive(" I will see." * 12)
    assert not is_repetitive("")
    assert not is_repetitive(" No, no, no, no.")
    assert not is_repetitive(
        " 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24"
    )


def test_words_are_told_when_two_hearings_agree() -> None:
    agreement = Agreement()
    assert agreement.add("I would") == ""
    assert agreement.add("I wood like to") == "I"
    assert agreement.add("I would like two") == ""
    assert agreement.add("I would like two, please.") == "I would like two,"
    assert agreement.add("I would like two, please.") == "I would like two, please"
    assert agreement.add("") == ""


def test_the_end_of_a_word_is_seen_and_the_word_is_not() -> None:
    at = np.arange(9600)
    speech = (5000 * np.sin(at / 5)).astype(np.int16)
    assert not is_falling_quiet(speech)
    assert is_falling_quiet(np.concatenate([speech[1600:], speech[:1600] // 20]))
    assert not is_falling_quiet(np.concatenate([speech[400:], speech[:400] // 20]))
    assert not is_falling_quiet(np.zeros(9600, np.int16))
    assert not is_falling_quiet(np.full(9600, -32768, np.int16))


def test_a_cut_is_where_it_is_quietest() -> None:
    sound = np.full(30 * 16000, 1000, np.int16)
    sound[20 * 16000 : 21 * 16000] = 3
    assert 20 * 16000 <= quietest(sound) <= 21 * 16000
    assert 0 < quietest(sound[: 28 * 16000 + 1]) < 28 * 16000
