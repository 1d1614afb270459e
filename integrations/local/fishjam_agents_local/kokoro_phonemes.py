"""Words as Kokoro reads them: phonemes of the program espeak-ng, in the letters of the model's vocabulary.

espeak-ng is GPL-3.0-or-later: a program that is asked, and no part of this process.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping

from fishjam_agents.errors import BackendError

PROGRAM = "espeak-ng"
LONGEST = 500
"""Tokens of a piece; the model takes 510 and a mark at both ends."""
_ANSWER = 5.0
"""Seconds espeak-ng has for a few words; it takes 0.01."""
_PAUSE = re.compile(
    # What the model knows as a pause or an intonation; a full stop in a number is neither.
    '([;:,.!?](?=[\\s"\')\u201d]|$)|[\u2014\u2026()"\u201c\u201d]|[\u3001\u3002\uff0c\uff01\uff1f\uff1b\uff1a])'
)
_SWITCH = re.compile(r"\([a-z-]+\)")
"""Marks of espeak-ng's for words of another language: `(en)`."""
_SAME = str.maketrans("\u3001\u3002\uff0c\uff01\uff1f\uff1b\uff1a", ",.,!?;:")


def phonemes(text: str, language: str) -> str:
    """Return the phonemes of a sentence, with its punctuation between them.

    Args:
        text: The sentence.
        language: A voice of espeak-ng: `en-us`.

    Raises:
        BackendError: espeak-ng does not answer.
    """
    said = ""
    for number, part in enumerate(_PAUSE.split(text)):
        if number % 2:
            # Between pauses no space: "One , two".
            said = said.rstrip() + part.translate(_SAME) + " "
        elif any(sign.isalnum() for sign in part):
            said += _ask(part.strip(), language) + " "
    return said.strip() if any(sign.isalnum() for sign in said) else ""


def tokens(said: str, vocabulary: Mapping[str, int]) -> list[list[int]]:
    """Return the tokens of phonemes, in pieces that the model takes; what it does not know is left out."""
    pieces: list[list[int]] = []
    rest = "".join(sign for sign in said if sign in vocabulary)
    while rest:
        end = len(rest)
        if end > LONGEST:
            end = rest.rfind(" ", 1, LONGEST) + 1 or LONGEST
        pieces.append([vocabulary[sign] for sign in rest[:end]])
        rest = rest[end:]
    return pieces


def _ask(words: str, language: str) -> str:
    """Have espeak-ng write words in the IPA of the vocabulary."""
    command = [PROGRAM, "-q", "--ipa", "-v", language, "--stdin"]
    try:
        asked = subprocess.run(
            command, input=words.encode(), capture_output=True, timeout=_ANSWER, check=False
        )
    except OSError as error:
        raise BackendError(f"{PROGRAM} cannot be started ({error}): install it") from error
    except subprocess.TimeoutExpired as error:
        raise BackendError(
            f"{PROGRAM} gave no phonemes within {_ANSWER:g} s: try again", retryable=True
        ) from error
    if asked.returncode:
        raise BackendError(
            f"{PROGRAM} knows no language {language!r}: use one of `{PROGRAM} --voices`", failure="config"
        )
    said = _SWITCH.sub(" ", asked.stdout.decode(errors="replace"))
    # It writes r for every kind of it, where the vocabulary has the letter of the English one.
    return " ".join(said.replace("r", "\u0279").split())
