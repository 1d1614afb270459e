"""Speech for the quality bench: many voices, languages, speeds and pitches, chosen by a seed.

    python -m audio_fixtures.corpus --seed 1 --out /tmp/corpus      # to listen to it

Needs espeak-ng. Nothing of it is committed: the same seed, espeak-ng and soxr give the same samples.
Labels are energy labels of the clean signal, by the rule of `audio_fixtures.make.heard`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from audio_fixtures.make import heard
from fishjam_agents.audio.gain import amplify, dbfs
from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import read_wav, write_wav
from fishjam_agents.errors import FishjamAgentsError

RATE = 16000
LEVEL = -23.0
"""Of speech while it is on, dBFS; users of the corpus set their own."""
PHONE_RATE = 8000
"""A quarter of the voices come over a telephone: nothing above 4 kHz."""

VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"),
    *("Andy", "Annie", "Denis", "Michael", "Mario", "anika", "belinda", "boris", "caleb", "david"),
    *("edward", "john", "linda", "max", "norbert", "pablo", "paul", "quincy", "rob", "steph", "travis"),
)
"""Voices of espeak-ng that speak, rather than whisper, croak or play the robot."""

SENTENCES = {
    "en-us": ("What is the weather like tomorrow?", "I would like to book a table for four people tonight."),
    "en-gb": ("Wait a moment please, I meant the evening train.", "Could you tell me where the library is?"),
    "de": ("Wann fährt der nächste Zug nach Warschau?", "Ich möchte gern einen Tisch für heute Abend."),
    "fr": ("Bonjour, je voudrais changer mon rendez-vous.", "Pouvez-vous répéter la dernière phrase ?"),
    "es": ("Quisiera saber a qué hora abre la tienda.", "Espera un momento, no es lo que quería decir."),
    "it": ("Vorrei sapere quanto costa il biglietto.", "Mi può dire dove si trova la stazione?"),
    "pl": ("Chciałbym zapytać o pociąg do Krakowa.", "Proszę powtórzyć jeszcze raz ostatnie zdanie."),
    "pt-br": ("Você pode me dizer que horas são agora?", "Eu gostaria de mudar a data da viagem."),
    "nl": ("Kunt u mij vertellen hoe laat het is?", "Ik wil graag een afspraak maken voor morgen."),
    "sv": ("Kan du berätta när nästa tåg går?", "Jag skulle vilja ändra min bokning."),
    "cs": ("Chtěl bych vědět, kdy jede další vlak.", "Můžete to prosím ještě jednou zopakovat?"),
    "tr": ("Bir sonraki tren ne zaman kalkıyor?", "Yarın için bir randevu almak istiyorum."),  # noqa: RUF001
}
"""Our own, two for each language; spoken whole as sentences, three words of them as phrases."""
WORDS = {
    "en-us": ("yes", "stop", "okay"),
    "en-gb": ("no", "right", "sorry"),
    "de": ("ja", "nein", "genau"),
    "fr": ("oui", "non", "merci"),
    "es": ("sí", "vale", "bueno"),
    "it": ("sì", "certo", "allora"),
    "pl": ("tak", "nie", "dobrze"),
    "pt-br": ("sim", "não", "tudo bem"),
    "nl": ("ja", "nee", "prima"),
    "sv": ("ja", "nej", "precis"),
    "cs": ("ano", "ne", "dobře"),
    "tr": ("evet", "hayır", "tamam"),  # noqa: RUF001
}
HUMS = ("[[m'm:h@mm]]", "[[m'm:]]", "[['@h@]]", "[[h'm:]]")
"""Sounds of a listener in any language: mhm, mm, uh-huh, hm. Phonemes of espeak-ng."""


class CorpusError(FishjamAgentsError):
    """The corpus cannot be made."""


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Something said by one voice.

    Attributes:
        text: What.
        voice: espeak-ng's name of language and variant.
        pitch: espeak-ng's, 0 to 99.
        speed: Words per minute.
        band: Rate that the voice was brought to and back from, Hz.
        samples: int16 mono at `RATE`, shape (n,), with the soft edges that lie outside the label.
        start: First labelled sample.
        end: One past the last.
    """

    text: str
    voice: str
    pitch: int
    speed: int
    band: int
    samples: Samples
    start: int
    end: int

    @property
    def seconds(self) -> float:
        """Labelled length."""
        return (self.end - self.start) / RATE


def rng_for(seed: int, *names: object) -> np.random.Generator:
    """A stream of random numbers for one purpose, so that none shifts when another is changed."""
    return np.random.default_rng([seed, zlib.crc32(repr(names).encode())])


def sentences(seed: int, count: int) -> list[Utterance]:
    """Whole sentences, 1 to 4 s."""
    return _drawn(seed, "sentence", count, SENTENCES)


def phrases(seed: int, count: int) -> list[Utterance]:
    """The beginnings of sentences, about 0.6 to 1.5 s."""
    return _drawn(seed, "phrase", count, _beginnings())


def words(seed: int, count: int) -> list[Utterance]:
    """Single words such as "yes", mostly under 0.6 s."""
    return _drawn(seed, "word", count, WORDS)


def hums(seed: int, count: int) -> list[Utterance]:
    """Sounds of listeners: "mhm", "uh-huh"."""
    return _drawn(seed, "hum", count, {"en-us": HUMS, "en-gb": HUMS})


def pairs(seed: int, count: int) -> list[tuple[Utterance, Utterance]]:
    """The beginning of a sentence and another sentence, both by one voice: a turn to put a pause into."""
    begun = _drawn(seed, "pair", count, {language: texts[:1] for language, texts in _beginnings().items()})
    drawn = []
    for before in begun:
        text = SENTENCES[before.voice.partition("+")[0]][1]
        drawn.append((before, _cached(text, before.voice, before.pitch, before.speed, before.band)))
    return drawn


def _beginnings() -> dict[str, Sequence[str]]:
    return {
        language: tuple(" ".join(text.split()[:3]).rstrip(",") for text in texts)
        for language, texts in SENTENCES.items()
    }


@lru_cache(maxsize=1024)
def _cached(text: str, voice: str, pitch: int, speed: int, band: int) -> Utterance:
    return speak(text, voice, pitch, speed, band)


def _drawn(seed: int, kind: str, count: int, texts: Mapping[str, Sequence[str]]) -> list[Utterance]:
    """Every language as often as any other, each time by another voice."""
    rng = rng_for(seed, kind)
    rounds = range(-(-count // len(texts)))
    languages = [str(language) for _ in rounds for language in rng.permutation(sorted(texts))][:count]
    drawn = []
    for language in languages:
        text = texts[language][int(rng.integers(len(texts[language])))]
        voice = f"{language}+{rng.choice(VARIANTS)}"
        pitch, speed = int(rng.integers(20, 80)), int(rng.integers(130, 215))
        drawn.append(_cached(text, voice, pitch, speed, PHONE_RATE if rng.random() < 0.25 else RATE))
    return drawn


def speak(text: str, voice: str, pitch: int, speed: int, band: int = RATE) -> Utterance:
    """Speech of espeak-ng, at `LEVEL`, labelled.

    Raises:
        CorpusError: espeak-ng is missing or refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/spoken.wav"
        command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "-w", path, text]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=20)
        except FileNotFoundError as error:
            raise CorpusError("espeak-ng not found: apt-get install -y espeak-ng") from error
        except subprocess.SubprocessError as error:
            raise CorpusError(f"espeak-ng does not speak with {voice}: is its data installed?") from error
        clip = read_wav(path)
    samples = resample(resample(clip.samples, clip.sample_rate, band), band, RATE)
    return labelled(samples, text, voice, pitch, speed, band)


def softened(utterance: Utterance) -> Utterance:
    """The same, begun and ended as people do and espeak-ng does not: rising 80 ms, dying away for 200 ms."""
    samples = utterance.samples.astype(np.float32)
    first, last = utterance.start, utterance.end
    for start, length, levels in ((first, 0.08, (-15.0, 0.0)), (last - round(0.2 * RATE), 0.2, (0.0, -20.0))):
        ramp = np.linspace(*levels, round(length * RATE)) / 20
        samples[max(start, 0) : start + len(ramp)] *= 10 ** ramp[max(-start, 0) :]
    samples[last:] *= 0.1
    samples[:first] *= 10 ** (-15 / 20)
    u = utterance
    return labelled(np.rint(samples).astype(np.int16), u.text, u.voice, u.pitch, u.speed, u.band)


def labelled(samples: Samples, text: str, voice: str, pitch: int, speed: int, band: int) -> Utterance:
    """An utterance at `LEVEL` from clean speech at `RATE`, with its energy label."""
    segments = heard(samples, RATE)
    on = np.concatenate([samples[round(a * RATE) : round(b * RATE)] for a, b in segments])
    start, end = round(segments[0][0] * RATE), round(segments[-1][1] * RATE)
    # Digital silence around it is not part of what was said.
    audible = np.flatnonzero(samples)
    first, last = int(audible[0]), int(audible[-1]) + 1
    samples = amplify(samples[first:last], LEVEL - dbfs(on))
    label = max(start, first) - first, min(end, last) - first
    return Utterance(text, voice, pitch, speed, band, samples, *label)


def espeak_version() -> str:
    """The version of espeak-ng, or that there is none."""
    if shutil.which("espeak-ng") is None:
        return "absent"
    told = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True, timeout=20)
    return told.stdout.split(":")[-2].split()[0] if told.stdout.count(":") > 1 else told.stdout.strip()


def main() -> None:
    """Write a corpus to a folder: WAV files and `corpus.json`."""
    parser = argparse.ArgumentParser(prog="python -m audio_fixtures.corpus", description="Speech by a seed.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=24, help="of each kind")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    table = {}
    for make in (sentences, phrases, words, hums):
        for number, utterance in enumerate(make(arguments.seed, arguments.count)):
            name = f"{make.__name__}-{number:02}.wav"
            write_wav(arguments.out / name, utterance.samples, RATE)
            table[name] = {key: value for key, value in asdict(utterance).items() if key != "samples"}
    (arguments.out / "corpus.json").write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(table)} files in {arguments.out}")


if __name__ == "__main__":
    main()
