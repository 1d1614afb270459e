"""Reasoning that a model writes between marks of its template, told apart from its answer.

The marks are those of the templates and parsers that models are published with: DeepSeek, Qwen,
Mistral (`[THINK]`), Gemini and Gemma (`<thought>`, `<|channel>`), Cohere (`<|START_THINKING|>`), Seed,
MiniMax, Kimi, and the harmony format of gpt-oss (developers.openai.com/cookbook/articles/openai-harmony).
Most servers read them; one that does not sends them as text.
"""

from __future__ import annotations

import re

_NAMES = (
    *("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad", "inner_monologue"),
    *("seed:think", "mm:think", "ant_thinking", "antthinking"),
    *("tool_call", "tool_calls", "function_call", "function_calls", "tool_response"),
)
"""Tags around what is not for the user: `<think>…</think>`."""
_PAIRS = {
    **{name: f"/{name}" for name in _NAMES},
    **{"[think]": "[/think]", "[reasoning]": "[/reasoning]", "\u25c1think\u25b7": "\u25c1/think\u25b7"},
    **{"|start_thinking|": "|end_thinking|", "|begin_of_thought|": "|end_of_thought|"},
    **{"|channel": "channel|", "unused94": "unused95"},
}
"""Marks that open reasoning, and those that end it, as `_name` has them."""
_HEADERS = frozenset({"|start|", "|channel|", "|im_start|", "|start_header_id|"})
"""Marks before the role and the channel of a message."""
_HEADER_END = re.compile(r"<\|(?:message|end_header_id)\|>|\n")
_LONGEST_HEADER = 200
_SILENT = frozenset({"analysis", "commentary", "thought", "user", "system", "developer", "tool"})
"""Roles and channels whose messages are not for the user. Commentary is mostly a call of a tool."""
_MESSAGE_END = re.compile(
    r"<\|(?:end|call|return|im_end|eot_id)\|>|(?=<\|(?:start|channel|im_start|start_header_id)\|>)"
)
_LONGEST_MARK = 64
_MARK = re.compile(
    rf"<[|\uff5c/A-Za-z][^<>\n]{{0,{_LONGEST_MARK}}}>|\[/?[A-Z]{{1,12}}\]|\u25c1/?think\u25b7", re.ASCII
)
_BEGUN = re.compile(
    rf"(?:<(?:[|\uff5c/A-Za-z][^<>\n]{{0,{_LONGEST_MARK}}})?|\[/?[A-Z]{{0,12}}|\u25c1/?[a-z]{{0,5}})\Z",
    re.ASCII,
)
_TEMPLATE = re.compile(r"[|\uff5c].*[|\uff5c]|/?(?:begin|end)_of_\w+|/?unused\d+|channel\|", re.ASCII)
# gpt-oss behind a server that leaves the special tokens out: "analysisThe user ... assistantfinalHello."
_BARE = "analysis"
_BARE_END = re.compile("assistantfinal")


class ReasoningFilter:
    """Filter that leaves reasoning, calls of tools and template marks out of a text that comes in pieces."""

    def __init__(self) -> None:
        self._unread = ""
        # Whether nothing has been read yet.
        self._first = True
        # What ends the reasoning that is under way.
        self._closing: re.Pattern[str] | None = None
        # Whether the head of a message is being read.
        self._header = False

    def leave_out(self, piece: str) -> str:
        """Take the next piece and return the text that is certain to be no reasoning."""
        self._unread += piece
        text = ""
        while (found := self._next()) is not None:
            text += found
        return text

    def rest(self) -> str:
        """The text is over: what was not certain yet."""
        rest = "" if self._closing or self._header else self._unread
        self._unread, self._closing, self._header, self._first = "", None, False, True
        return rest

    def _next(self) -> str | None:
        """Read on, return what is text; None where that takes more of it."""
        if self._closing is not None:
            return self._skip(self._closing)
        if self._header:
            return self._read_header()
        if self._first:
            if len(self._unread) <= len(_BARE) and _BARE.startswith(self._unread):
                return None
            self._first = False
            if self._unread.startswith(_BARE) and self._unread[len(_BARE)].isupper():
                self._closing = _BARE_END
                return ""
        mark = _MARK.search(self._unread)
        if mark is None:
            begun = _BEGUN.search(self._unread)
            at = len(self._unread) if begun is None else begun.start()
            text, self._unread = self._unread[:at], self._unread[at:]
            return text or None
        text, self._unread = self._unread[: mark.start()], self._unread[mark.end() :]
        return text + self._take(mark.group())

    def _take(self, mark: str) -> str:
        """Return the part of a mark that is text: all of it if it is no mark."""
        name = _name(mark)
        if name in _HEADERS:
            self._header = True
        elif name in _PAIRS:
            if not mark.endswith("/>"):
                self._closing = _closing(_PAIRS[name])
        elif name not in _PAIRS.values() and not _TEMPLATE.fullmatch(name):
            return mark
        return ""

    def _skip(self, closing: re.Pattern[str]) -> str | None:
        end = closing.search(self._unread)
        if end is None:
            # The mark itself may come in pieces.
            self._unread = self._unread[-_LONGEST_MARK:]
            return None
        self._unread = self._unread[end.end() :]
        self._closing = None
        return ""

    def _read_header(self) -> str | None:
        end = _HEADER_END.search(self._unread, 0, _LONGEST_HEADER)
        if end is None:
            if len(self._unread) < _LONGEST_HEADER:
                return None
            header, self._unread = "", self._unread
        else:
            header, self._unread = self._unread[: end.start()], self._unread[end.end() :]
        self._header = False
        if "to=" in header or _SILENT & set(re.findall(r"[a-z]+", header.lower())):
            self._closing = _MESSAGE_END
        return ""


def _name(mark: str) -> str:
    """A mark without its brackets and attributes: `think`, `/think`, `|channel|`, `[think]`."""
    lower = mark.lower()
    if lower[0] != "<":
        return lower
    words = lower[1:-1].removesuffix("/").split()
    return words[0] if words else ""


def _closing(name: str) -> re.Pattern[str]:
    mark = re.escape(name) if name[0] in "[\u25c1" else rf"<{re.escape(name)}\s*>"
    return re.compile(mark, re.IGNORECASE)
