"""Judgement of a cell: what is expected where a call does not simply go on."""

from __future__ import annotations

import re

from .cells import Cell
from .faulty_call import Outcome

_CANNOT_REACH = r"(cannot reach|no answer).*(is the server running|check)"
_DAMAGED = r"no AgentResponse.*its messages arrive damaged$"


def ending(cell: Cell) -> str | None:
    """Pattern of the sentence with which a call may end in this cell; None where it has to go on."""
    joining = cell.phase == "joining"
    match cell.socket:
        case "agent" if joining:
            # The first connection is tried once: whoever starts the program is told at once.
            return rf"{_CANNOT_REACH}|the agent session (got|was lost)|no Fishjam socket|{_DAMAGED}"
        case "notifier" if joining:
            return rf"{_CANNOT_REACH}|the room cannot be followed|did not tell who is in the room"
        case "rest" if joining:
            return rf"{_CANNOT_REACH}|did not answer|is it a Fishjam server|no answer of Fishjam|refused"
        case "stt" | "llm" | "tts" if cell.trouble.name.startswith("garbled"):
            # A request that arrives damaged is refused, and a damaged answer may still be one.
            return r"was refused|has no text|is no stream|came as"
        case "vapi" if cell.trouble.name == "garbled length":
            # Read at the wrong place, audio may look like the service's goodbye.
            return r"the model ended the conversation|the call ended"
        case _:
            return None


def judge(outcome: Outcome) -> list[str]:
    """Return what is wrong with an outcome."""
    problems = list(outcome.problems)
    if outcome.error is not None:
        pattern = ending(outcome.cell)
        if pattern is None:
            problems.append(f"it ended: {outcome.error}")
        elif not re.search(pattern, outcome.error):
            problems.append(f"it ended with another sentence: {outcome.error}")
    return problems
