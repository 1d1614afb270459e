"""Every error this package raises on purpose, in one tree.

A message has the form "what happened: what to do". The command line prints the message alone and
exits with the error's `exit_code`; programs catch the class.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal, TypeAlias

from fishjam_agents import install

FailureKind: TypeAlias = Literal["auth", "config", "quota", "network", "protocol", "internal"]
"""Cause of a backend's failure: its key, settings (an unknown model), account limit, the connection or a
service that does not answer, something that is not the vendor's protocol, anything else."""


class FishjamAgentsError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code: ClassVar[int] = 1
    """Exit code of the command line: 1 is a run-time failure, 2 a mistake in the user's input."""


class ConfigError(FishjamAgentsError):
    """The configuration cannot be used as written.

    Args:
        message: What is wrong, and what to do.
        setting: The bot's setting that it speaks of, as `turns.end_of_turn`; "" where the message says which.

    Attributes:
        setting: The same.
    """

    exit_code = 2

    def __init__(self, message: str = "", *, setting: str = "") -> None:
        self.setting = setting
        super().__init__(f"{setting}: {message}" if setting else message)


class SettingError(ValueError):
    """A value that a setting cannot have. Its text is a sentence; what it is made of stays readable.

    Args:
        field: The setting; None where the sentence does not begin with it.
        reason: What is wrong with it, as the sentence goes on after its name.
        action: What to do.
        section: The key of the settings it belongs to, where the sentence names that, too.
        fields: Further settings that it speaks of.

    Attributes:
        fields: The settings it speaks of, the one to look at first; not all need to have been given.
    """

    def __init__(
        self,
        field: str | None,
        reason: str = "",
        action: str = "",
        *,
        section: str = "",
        fields: Iterable[str] = (),
    ) -> None:
        self.field = field
        self.fields = (*([] if field is None else [field]), *fields)
        self.reason = reason
        self.action = action
        self.section = section
        super().__init__(self._sentence(f"{section}.{field}" if section and field else section or field))

    def at(self, path: str) -> str:
        """The sentence as told of settings that stand at `path` of a file, "" for the file itself."""
        if not path:
            return str(self)
        if self.field is None:
            return self._sentence(path) if self.section else f"{path}: {self}"
        if self.section or not self.reason:
            return self._sentence(f"{path}.{self.field}")
        return f"{path}: {self}"

    def _sentence(self, name: str | None) -> str:
        told = " ".join(part for part in (name, self.reason) if part)
        return f"{told}: {self.action}" if self.action else told


class AudioError(FishjamAgentsError):
    """A file or a buffer is not the audio it was taken for."""


class DeviceError(FishjamAgentsError):
    """A microphone or loudspeaker of this machine cannot be used, or is gone."""


class ProtocolError(FishjamAgentsError):
    """Bytes from a socket are not the message the schema describes."""


def install_extra(extra: str) -> str:
    """The command that installs an extra where this runs, as a message advises it."""
    return install.advice(extra=extra)


def install_integration(folder: str) -> str:
    """The command that installs the distribution in `integrations/folder`, as a message advises it."""
    return install.advice(integration=folder)


class MissingExtraError(FishjamAgentsError):
    """An optional dependency is needed and not installed.

    Attributes:
        extra: The extra that brings it.
    """

    exit_code = 2

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs the extra {extra!r}: {install_extra(extra)}")


class SessionError(FishjamAgentsError):
    """The media server ended the session or can no longer be reached."""


TRIED_AGAIN = "it is tried again"
"""The action of a failure after which nobody but the pipeline has anything to do."""


class BackendError(FishjamAgentsError):
    """A model backend failed. Its text is a sentence; what that is made of stays readable.

    Attributes:
        reason: What happened: the sentence after its subject. It may be the whole of it.
        subject: The sentence's beginning that names who failed: "Gemini:", "Vapi".
        action: What to do, or `TRIED_AGAIN`.
        retryable: True when another attempt may succeed (a lost socket), False when only the user can
            mend it (a rejected key).
        failure: What kind of failure it is; by default `network` if retryable, else `internal`.
        backend: Which of several backends failed, None where there is one.
        fallback: Which one follows it, None if it is tried again, or is the last.
        retry_after: Seconds for which the service asks to be left alone (`Retry-After`), None if it does not.
    """

    def __init__(
        self,
        reason: str,
        *,
        subject: str = "",
        action: str = "",
        retryable: bool = False,
        failure: FailureKind | None = None,
        backend: str | None = None,
        fallback: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.reason = reason
        self.subject = subject
        self.action = action
        super().__init__(f"{subject} {self.cause}" if subject else self.cause)
        self.backend = backend
        self.fallback = fallback
        self.retry_after = retry_after
        self.retryable = retryable
        self.failure: FailureKind = failure or ("network" if retryable else "internal")

    @property
    def cause(self) -> str:
        """Reason and action, for a sentence that names who failed by itself."""
        return f"{self.reason}: {self.action}" if self.action else self.reason
