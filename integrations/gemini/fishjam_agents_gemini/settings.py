"""The parts of `backend: {type: gemini}` that are mappings of their own in config.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ThinkingLevel = Literal["minimal", "low", "medium", "high", "xhigh"]


@dataclass(frozen=True, slots=True)
class Vertex:
    """Vertex AI in place of the Gemini API; credentials are the application default ones of Google Cloud.

    Attributes:
        project: Google Cloud project.
        location: Region, like `us-central1`.
    """

    project: str
    location: str


@dataclass(frozen=True, slots=True)
class Transcription:
    """Which side's words the model writes down.

    Attributes:
        input: The users'. Needed for `on_transcript`.
        output: The bot's. Needed for what was heard of a reply to have words.
        languages: Hints, as BCP 47 codes.
    """

    input: bool = True
    output: bool = True
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Thinking:
    """How much the model thinks before it speaks. Thoughts are never spoken.

    Attributes:
        budget: Tokens, for models 2.5; 0 switches thinking off.
        level: For models 3.1 and extended thinking.
    """

    budget: int | None = None
    level: ThinkingLevel | None = None


@dataclass(frozen=True, slots=True)
class Compression:
    """A sliding window over the conversation, without which a session ends after 15 minutes of audio.

    Attributes:
        trigger_tokens: Length of the context at which it is cut; None leaves that to the service.
        target_tokens: What is left of it.
    """

    trigger_tokens: int | None = None
    target_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """The service's view of when somebody speaks. Its detection works only with `turns.owner: backend`.

    Attributes:
        interrupts: Whether speech ends a reply that is being generated.
        coverage: What of the input belongs to a turn.
        start_sensitivity: How readily speech is found.
        end_sensitivity: How readily its end is found.
        prefix_padding_ms: Speech before it counts as begun, in milliseconds.
        silence_duration_ms: Silence that ends a turn, in milliseconds.
    """

    interrupts: bool | None = None
    coverage: Literal["only_activity", "all_input", "audio_activity_and_all_video"] | None = None
    start_sensitivity: Literal["low", "high"] | None = None
    end_sensitivity: Literal["low", "high"] | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """An entry of the conversation that the model is to know when the call begins.

    Attributes:
        role: Who said it.
        text: What.
    """

    role: Literal["user", "model"]
    text: str
