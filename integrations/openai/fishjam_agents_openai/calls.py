"""Calls of tools, put together from the pieces in which servers stream them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fishjam_agents.backends.arguments import read_arguments
from fishjam_agents.backends.cascade import LLMToolCall

_NUMBERS = itertools.count(1)


class Calls:
    """The calls of one answer.

    OpenAI gives each call an index and an id. Others leave out one or both, or give every call the index 0;
    then a call is over when its arguments are complete, or another name comes.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def feed(self, pieces: object) -> None:
        """Take the `tool_calls` of one delta."""
        if not isinstance(pieces, Sequence) or isinstance(pieces, str):
            return
        # Two entries of one list are two calls, whatever they are called.
        in_this_list: list[_Call] = []
        for piece in pieces:
            function = getattr(piece, "function", None)
            index, id = getattr(piece, "index", None), getattr(piece, "id", None)
            if function is None and id is None:
                continue
            name = getattr(function, "name", None)
            call = self._belongs_to(index, id, name, in_this_list)
            if call is None:
                call = _Call(index)
                self._calls.append(call)
            in_this_list.append(call)
            call.take(id, name, getattr(function, "arguments", None), getattr(piece, "extra_content", None))

    def requested(self, taken: Collection[str]) -> Iterator[tuple[LLMToolCall, Any]]:
        """Yield each call, with what the server wants back with it.

        Args:
            taken: Ids of other calls: some servers give none, or the same in every answer.
        """
        ids = set(taken)
        for call in self._calls:
            id = call.id
            while not id or id in ids:
                # Mistral takes 9 letters and digits, and nothing else.
                id = f"call{next(_NUMBERS) % 100_000:05d}"
            ids.add(id)
            yield LLMToolCall(id, call.name, *read_arguments(call.arguments)), call.extra

    def _belongs_to(
        self, index: object, id: object, name: object, in_this_list: Sequence[_Call]
    ) -> _Call | None:
        """The call that a piece goes on with; None where it begins another one."""
        if id:
            same = (call for call in self._calls if call.id == id)
            known = next((call for call in same if None in (index, call.index) or call.index == index), None)
            if known is not None:
                return known
        if index is None:
            call = self._calls[-1] if self._calls else None
        else:
            call = next((call for call in reversed(self._calls) if call.index == index), None)
        if call is None or call in in_this_list or (id and call.id):
            return None
        if name and call.name and (name != call.name or call.complete):
            return None
        return call


@dataclass(eq=False, slots=True)
class _Call:
    index: object = None
    id: str = ""
    name: str = ""
    arguments: Any = None
    extra: Any = None

    def take(self, id: object, name: object, arguments: object, extra: object) -> None:
        if not self.id and id is not None:
            self.id = str(id)
        if not self.name and isinstance(name, str):
            # vLLM has let a mark of the template of gpt-oss through: "book<|channel|>commentary".
            self.name = name.partition("<|")[0].strip()
        if isinstance(arguments, str) and isinstance(self.arguments, str):
            self.arguments += arguments
        elif arguments is not None:
            self.arguments = arguments
        self.extra = self.extra or extra

    @property
    def complete(self) -> bool:
        """True once the arguments need no more."""
        if not isinstance(self.arguments, str):
            return isinstance(self.arguments, Mapping)
        try:
            return isinstance(json.loads(self.arguments), Mapping)
        except (ValueError, RecursionError):
            return False
