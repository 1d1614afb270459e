"""Interface of a recorder of calls; `observe.replay` has one."""

from __future__ import annotations

from typing import Protocol

from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.turns.decision_log import DecisionLogs
from fishjam_agents.turns.settings import TurnSettings


class Record(DecisionLogs, Protocol):
    """The record of one call."""

    def close(self, at: float) -> None:
        """The call ended at `at`, call time in seconds."""
        ...


class Recorder(Protocol):
    """Makes the records of calls. Must neither block nor raise: a call does not wait for its record."""

    def open(self, call: str, turns: TurnSettings, hearing: HearingSettings) -> Record:
        """Begin the record of a call.

        Args:
            call: Its id.
            turns: Its settings of turn-taking.
            hearing: Its settings of hearing.
        """
        ...
