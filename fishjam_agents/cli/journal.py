"""`journal list`, `show CALL` and `delete CALL`: what is written down of calls."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, assert_never

import typer

from fishjam_agents.cli.output import say
from fishjam_agents.errors import ConfigError, FishjamAgentsError

if TYPE_CHECKING:
    from fishjam_agents.journal.entries import JournalEntry
    from fishjam_agents.journal.settings import JournalSettings
    from fishjam_agents.journal.store import JournalStore, JournalSummary

journal = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)

ConfigArgument = Annotated[
    Path | None, typer.Argument(metavar="[CONFIG]", help="A config.yaml with a journal.", show_default=False)
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|URL",
        help="The journal's file, or the URL of its Redis. Without it and CONFIG: the one in the user's "
        "state folder. Its key is taken from JOURNAL_KEY.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
CallArgument = Annotated[str, typer.Argument(help="Id of the call, as list shows it.", show_default=False)]

_ARGUMENTS = 200
"""Characters that are shown of what a tool was given, or answered."""


@journal.callback(help="List, show and delete what is written down of calls.")
def _journal() -> None:
    pass


@journal.command("list")
def list_calls(
    config: ConfigArgument = None,
    store: StoreOption = None,
    room: Annotated[str | None, typer.Option(help="Only calls in this room.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """List the calls, the oldest first."""

    async def work() -> None:
        async with _opened(config, store) as opened:
            calls = [call for call in await opened.calls() if room is None or call.place.room == room]
        if as_json:
            for call in calls:
                say(json.dumps(dataclasses.asdict(call)))
        elif not calls:
            say("There is no call.")
        else:
            _table(calls)

    asyncio.run(work())


@journal.command("show")
def show_call(
    call: CallArgument, config: ConfigArgument = None, store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """Show what was said and done in a call; with --json everything that is kept of it."""

    async def work() -> None:
        async with _opened(config, store) as opened:
            entries = await opened.read(call)
        if not entries:
            raise _unknown(call)
        if as_json:
            for epoch, entry in entries:
                say(
                    json.dumps({"epoch": epoch, "kind": entry.kind, **dataclasses.asdict(entry)}, default=str)
                )
        else:
            for at, line in told(entries):
                say(f"{_date(at)}  {line}")

    asyncio.run(work())


@journal.command("delete")
def delete_call(call: CallArgument, config: ConfigArgument = None, store: StoreOption = None) -> None:
    """Delete all that is written down of a call; one that goes on is written down no more."""

    async def work() -> None:
        async with _opened(config, store) as opened:
            deleted = await opened.delete(call)
        if not deleted:
            raise _unknown(call)
        say(f"The journal of the call {call} is deleted.")

    asyncio.run(work())


def _unknown(call: str) -> FishjamAgentsError:
    return FishjamAgentsError(
        f"nothing is written down of a call {call}: see the ids that `journal list` prints"
    )


@asynccontextmanager
async def _opened(config: Path | None, address: str | None) -> AsyncIterator[JournalStore]:
    from fishjam_agents.worker.shared_stores import journal_store

    store = journal_store(_settings(config, address))
    try:
        yield store
    finally:
        await store.close()


def _settings(config: Path | None, address: str | None) -> JournalSettings:
    from fishjam_agents.config import load_config
    from fishjam_agents.journal.settings import JournalSettings
    from fishjam_agents.urls import is_redis_url
    from fishjam_agents.worker.orphaned_agents import state_folder

    if config is not None and address is not None:
        raise ConfigError("a config.yaml and --store both name a journal: give one of them")
    if config is not None:
        found = load_config(config).journal
        if found is None:
            raise ConfigError(f"{config} has no journal: add one, or name its store with --store")
        settings = found
    else:
        key = os.environ.get("JOURNAL_KEY") or None
        is_redis = address is not None and is_redis_url(address)
        if address is not None and "://" in address and not is_redis:
            # It may hold a password, which no message about a file may show.
            raise ConfigError(
                "--store is no address of a Redis: write it as redis://HOST:6379/0, or name a file"
            )
        try:
            if is_redis:
                return JournalSettings(type="redis", url=address, key=key)
            settings = JournalSettings(path=None if address is None else Path(address), key=key)
        except ValueError as error:
            raise ConfigError(f"JOURNAL_KEY: {error}") from error
    if settings.url is None:
        path = settings.path or state_folder() / "journal.db"
        if not path.is_file():
            raise ConfigError(f"there is no journal {path}: name its store with --store, or a config.yaml")
    return settings


def _table(calls: Sequence[JournalSummary]) -> None:
    rows = [("call", "began", "last entry", "entries", "processes", "state", "bot", "room")]
    rows += [
        (
            *(call.call, _date(call.begun), _date(call.last), str(call.entries), str(call.epochs)),
            *("over" if call.ended else "open", call.place.bot, call.place.room),
        )
        for call in calls
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _date(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def told(entries: Sequence[tuple[int, JournalEntry]]) -> Iterator[tuple[float, str]]:
    """Tell entries as a person reads them: times, in seconds since the epoch, and lines.

    Args:
        entries: The entries of a call, each with the number of the process that wrote it.
    """
    from fishjam_agents.journal import entries as e

    unheard: dict[tuple[int, str], str] = {}
    at = 0.0
    for epoch, entry in entries:
        at = entry.at
        line = ""
        match entry:
            case e.CallBegan():
                line = f"process {epoch} begins{f' with {entry.backend}' if entry.backend else ''}"
            case e.InstructionsChanged():
                line = "the instructions are changed"
            case e.BotChanged():
                line = f"{entry.bot} goes on with the call"
            case e.PeerCame():
                line = f"{entry.peer} is in the room"
            case e.UserSaid():
                line = f"{entry.peer or 'in writing'}: {entry.text}"
            case e.BotSaid():
                unheard[epoch, entry.reply] = unheard.get((epoch, entry.reply), "") + entry.text
            case e.BotHeard() if entry.over:
                unheard.pop((epoch, entry.reply), None)
                words = entry.text or f"{entry.seconds:.1f} s without words"
                line = f"bot: {words}{' [interrupted]' if entry.cut else ''}"
            case e.ToolIntended():
                line = f"tool {entry.name}({_short(entry.arguments)})"
            case e.ToolEnded():
                line = f"tool answered ({entry.outcome}): {_short(entry.result)}"
            case e.CallEnded():
                line = f"the call is over: {entry.reason}"
            case e.UserSpeaks() | e.TurnEnded() | e.BotHeard() | e.HandleCame():
                pass
            case _:
                assert_never(entry)
        if line:
            yield at, line
    for words in unheard.values():
        yield at, f"bot, not heard to its end: {words.strip()}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _ARGUMENTS else f"{text[:_ARGUMENTS]}…"
