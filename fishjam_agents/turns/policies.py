"""Policies of barge-in: small objects, of which all must agree before the bot is interrupted.

A sound over the bot's voice is suspected and silences it; that it is an interruption is decided by how long
it has a voice (`turns.machine`), and by these. Words count only where somebody understands them while the bot
speaks: a backend whose capabilities have `transcripts`, or the app (`AgentPipeline.understood`).
"""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from fishjam_agents.errors import SettingError
from fishjam_agents.units import Seconds

_PATIENCE = 1.2
"""Seconds of sound without any words after which its length decides: longer than any listener's "mhm"."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound over the bot's voice.

    Attributes:
        seconds: Since its onset.
        voiced: Seconds of it that have a voice; pauses take a quarter of their length off.
        words: What has been understood of it, None while nothing has.
        transcribed: Whether words can be expected.
    """

    seconds: float
    voiced: float
    words: str | None = None
    transcribed: bool = False


@dataclass(frozen=True, slots=True)
class BargeInPolicy(ABC):  # noqa: B024 - each method has an answer that forbids nothing
    """One condition for interrupting the bot: subclass it, override what it forbids.

    Attributes:
        needs_words: Whether it does nothing without transcripts.
    """

    needs_words: ClassVar[bool] = False

    def protects(self, replies_done: int) -> bool:
        """Return whether a reply goes on, whoever speaks.

        Asked when it begins, and again when another has been played. What the app says of a single reply
        (`SpeechHandle.interruptible`) counts before this.

        Args:
            replies_done: How many replies of this call have been played to their end.
        """
        return False

    def allows(self, sound: Sound) -> bool:
        """Return whether this may be an interruption, as things stand; asked again as the sound goes on."""
        return True

    def waits(self, sound: Sound) -> bool:
        """Return whether words that are still to come may allow a sound that is over.

        The bot stays silent for them, at most 1 s and until 1.5 s after the onset.
        """
        return self.needs_words and sound.words is None


@dataclass(frozen=True, slots=True)
class MinimumVoice(BargeInPolicy):
    """More voice than the 0.36 s that any interruption needs.

    Attributes:
        seconds: Of voice.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 10:
            raise SettingError("voice", f"must be above 0 and at most 10 seconds, not {self.seconds:g}")

    def allows(self, sound: Sound) -> bool:
        """Once there is enough of it."""
        return sound.voiced + 1e-9 >= self.seconds

    def __str__(self) -> str:
        return f"{self.seconds:g} s of voice at least"


@dataclass(frozen=True, slots=True)
class MinimumWords(BargeInPolicy):
    """So many words, where they are transcribed; after 1.2 s without any, length decides.

    Attributes:
        count: How many.
    """

    needs_words: ClassVar[bool] = True

    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 20:
            raise SettingError("words", f"must be between 1 and 20, not {self.count}")

    def allows(self, sound: Sound) -> bool:
        """Once there are enough."""
        if sound.words is None:
            return not sound.transcribed or sound.seconds >= _PATIENCE
        return len(tokens(sound.words)) >= self.count

    def waits(self, sound: Sound) -> bool:
        """While there are too few."""
        return sound.words is None or len(tokens(sound.words)) < self.count

    def __str__(self) -> str:
        return f"{self.count} words at least"


@dataclass(frozen=True, slots=True)
class Backchannel(BargeInPolicy):
    """Nothing but "mhm", "yeah" or "okay" is no interruption, where it is transcribed.

    Attributes:
        languages: Whose words, by ISO 639-1: keys of `BACKCHANNELS`.
        words: Further words and phrases.
    """

    needs_words: ClassVar[bool] = True

    languages: Sequence[str] = ("en",)
    words: Sequence[str] = ()

    def __post_init__(self) -> None:
        for language in self.languages:
            if language not in BACKCHANNELS:
                known = ", ".join(BACKCHANNELS)
                raise SettingError(
                    "backchannel", f"has no words of {language!r}", f"use {known}, or give words yourself"
                )

    def allows(self, sound: Sound) -> bool:
        """Once something else is said."""
        if sound.words is None:
            return not sound.transcribed or sound.seconds >= _PATIENCE
        return not self._nothing_else(tokens(sound.words))

    def _nothing_else(self, said: Sequence[str]) -> bool:
        known = {" ".join(tokens(phrase)) for phrase in self.words}
        known.update(*(BACKCHANNELS[language] for language in self.languages))
        at = 0
        while at < len(said):
            for length in (3, 2, 1):
                if " ".join(said[at : at + length]) in known:
                    at += length
                    break
            else:
                return False
        return True

    def __str__(self) -> str:
        return f"no backchannel ({', '.join((*self.languages, *self.words))})"


@dataclass(frozen=True, slots=True)
class NeverInterrupt(BargeInPolicy):
    """Every reply is played to its end, like a legal notice. What is said meanwhile is heard next."""

    def protects(self, replies_done: int) -> bool:
        """Always."""
        return True

    def __str__(self) -> str:
        return "nobody"


@dataclass(frozen=True, slots=True)
class AfterFirstReply(BargeInPolicy):
    """Nobody interrupts before one reply has been played to its end."""

    def protects(self, replies_done: int) -> bool:
        """Until then."""
        return replies_done == 0

    def __str__(self) -> str:
        return "nobody before the first reply is done"


@dataclass(frozen=True, slots=True)
class BargeIn:
    """Conditions of an interruption of the bot, as a config.yaml has them.

    Attributes:
        voice: Seconds of voice, None is as little as tells a word from a cough.
        words: Words that must be understood; needs transcripts.
        backchannel: Languages whose "mhm" and "okay" are no interruption; needs transcripts.
        ignore: Further words and phrases that are none.
        never: Every reply is played to its end.
        after_first_reply: Not before one reply has been played to its end.
    """

    voice: Seconds | None = None
    words: int | None = None
    backchannel: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    never: bool = False
    after_first_reply: bool = False

    def __post_init__(self) -> None:
        self.policies()

    def policies(self) -> tuple[BargeInPolicy, ...]:
        """The policies that it stands for."""
        found: list[BargeInPolicy] = []
        if self.never:
            found.append(NeverInterrupt())
        if self.after_first_reply:
            found.append(AfterFirstReply())
        if self.voice is not None:
            found.append(MinimumVoice(self.voice))
        if self.words is not None:
            found.append(MinimumWords(self.words))
        if self.backchannel or self.ignore:
            found.append(Backchannel(self.backchannel, self.ignore))
        return tuple(found)

    def __str__(self) -> str:
        return ", ".join(map(str, self.policies())) or "anybody who speaks for 0.36 s"


def tokens(text: str) -> list[str]:
    """The words of a text: lower case, without punctuation."""
    return re.findall(r"\w+(?:['’-]\w+)*", text.casefold())  # noqa: RUF001 - the typographic one is meant


BACKCHANNELS: Mapping[str, frozenset[str]] = {
    language: frozenset(phrase.strip() for phrase in phrases.split(","))
    for language, phrases in {
        "de": "mhm, hm, hmm, mm, ja, jaja, jo, ok, okay, genau, aha, ach so, achso, stimmt, klar, richtig, "
        "gut, alles klar, verstehe, ach, oh, äh, ähm",
        "en": "mhm, mm, mm-hmm, mmhmm, mm hmm, hm, hmm, uh-huh, uh huh, yeah, yep, yup, yes, ok, okay, "
        "right, sure, i see, got it, aha, ah, oh, wow, cool, great, good, uh, um, true, of course",
        "es": "mhm, hm, mm, sí, si, ya, vale, claro, ajá, aja, ok, okay, bueno, entiendo, ah, oh, eh, exacto",
        "fr": "mhm, hm, hmm, mm, oui, ouais, d'accord, ok, okay, voilà, ah, oh, euh, je vois, bien sûr",
        "it": "mhm, hm, mm, sì, si, ok, okay, va bene, certo, capisco, ah, oh, esatto, bene, giusto, ecco",
        "nl": "mhm, hm, hmm, mm, ja, jaja, oké, ok, okay, precies, aha, oh, juist, klopt, zeker, snap ik",
        "pl": "mhm, hm, hmm, mm, tak, aha, ok, okay, dobrze, dobra, jasne, rozumiem, właśnie, oczywiście, oh",
        "pt": "mhm, hm, mm, sim, ok, okay, certo, claro, tá, tá bom, pois, pois é, entendi, ah, oh, é, isso",
    }.items()
}
"""Phrases of listeners that only show that they listen, by language: our own choice. "No", "stop" and
"wait" are in none of them."""
