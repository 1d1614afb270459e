"""`journal list`, `show` and `delete`."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fishjam_agents.journal.entries import (
    BotHeard,
    BotSaid,
    CallBegan,
    CallEnded,
    InstructionsChanged,
    JournalEntry,
    PeerCame,
    ToolEnded,
    ToolIntended,
    TurnEnded,
    UserSaid,
)
from fishjam_agents.journal.settings import JournalSettings
from fishjam_agents.journal.store import CallKey, CallPlace
from fishjam_agents.worker.shared_stores import journal_store

from ..journal.stores import redis_server
from .command import command

AT = 1764393600.0
ENTRIES: tuple[JournalEntry, ...] = (
    CallBegan(AT, "Cascade", "Be kind."),
    PeerCame(AT + 1, "alice"),
    TurnEnded(AT + 2, "turn-1", "alice"),
    UserSaid(AT + 2, "A table,\x1b[31m please", "alice"),
    BotSaid(AT + 3, "r1", "One "),
    BotSaid(AT + 3, "r1", "moment."),
    BotHeard(AT + 4, "r1", "One moment.", 0.8, over=True, cut=True),
    ToolIntended(AT + 4, "c1", "book", {"seats": 2}),
    ToolEnded(AT + 5, "c1", "ok", "booked"),
    InstructionsChanged(AT + 5, "Be brief."),
    UserSaid(AT + 6, "Thank you."),
    BotSaid(AT + 7, "r2", "You are wel"),
)


@pytest.fixture(params=["file", "Redis"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JournalSettings]:
    if request.param == "file":
        yield JournalSettings(path=tmp_path / "journal.db")
        return
    with redis_server(tmp_path / "redis") as redis:
        yield JournalSettings(type="redis", url=redis.url)


def fill(settings: JournalSettings) -> tuple[str, str]:
    """Write two calls; returns their ids."""

    async def work() -> tuple[str, str]:
        store = journal_store(settings)
        first = (await store.open(CallPlace("http://fishjam", "lobby", "clerk"), AT, 60)).key
        await store.append([(first, entry) for entry in ENTRIES])
        second = (await store.open(CallPlace("http://fishjam", "bar", "poet"), AT + 100, 60)).key
        await store.append([(second, UserSaid(AT + 101, "x")), (second, CallEnded(AT + 102, "no people"))])
        await store.close()
        return first.call, second.call

    return asyncio.run(work())


def address(settings: JournalSettings) -> str:
    return settings.url or str(settings.path)


def test_calls_are_listed_shown_and_deleted(
    settings: JournalSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = fill(settings)
    store = ("--store", address(settings))
    code, out, _ = command(capsys, "journal", "list", *store)
    heading, *rows = [line.split() for line in out.splitlines()]
    assert (code, heading[0]) == (0, "call")
    assert [(row[0], *row[5:]) for row in rows] == [
        (first, "12", "1", "open", "clerk", "lobby"),
        (second, "2", "1", "over", "poet", "bar"),
    ]
    _, out, _ = command(capsys, "journal", "list", *store, "--room", "bar", "--json")
    assert json.loads(out)["call"] == second
    code, out, _ = command(capsys, "journal", "show", first, *store)
    assert [line[21:] for line in out.splitlines()] == [
        "process 1 begins with Cascade",
        "alice is in the room",
        "alice: A table,\\x1b[31m please",
        "bot: One moment. [interrupted]",
        'tool book({"seats": 2})',
        "tool answered (ok): booked",
        "the instructions are changed",
        "in writing: Thank you.",
        "bot, not heard to its end: You are wel",
    ]
    assert out.startswith(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(AT)))
    _, out, _ = command(capsys, "journal", "show", first, *store, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == len(ENTRIES)
    assert lines[7] == {
        **{"epoch": 1, "kind": "tool_intended", "at": AT + 4, "call": "c1", "name": "book"},
        **{"arguments": {"seats": 2}, "again": ""},
    }
    code, out, _ = command(capsys, "journal", "delete", first, *store)
    assert (code, out) == (0, f"The journal of the call {first} is deleted.\n")
    for verb in ("show", "delete"):
        code, _, error = command(capsys, "journal", verb, first, *store)
        assert (code, error.startswith(f"error: nothing is written down of a call {first}: see")) == (1, True)
    _, out, _ = command(capsys, "journal", "list", *store)
    assert [line.split()[0] for line in out.splitlines()] == ["call", second]


def test_a_call_that_goes_on_is_written_down_no_more(
    settings: JournalSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    async def append(key: CallKey) -> bool:
        store = journal_store(settings)
        lost = await store.append([(key, UserSaid(AT + 8, "late"))])
        await store.close()
        return bool(lost)

    first, _ = fill(settings)
    assert not asyncio.run(append(CallKey(first, 1)))
    command(capsys, "journal", "delete", first, "--store", address(settings))
    assert asyncio.run(append(CallKey(first, 1)))
    code, _, _ = command(capsys, "journal", "show", first, "--store", address(settings))
    assert code == 1


def test_the_store_is_that_of_a_file_or_of_the_user_and_its_key_of_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fernet = pytest.importorskip("cryptography.fernet").Fernet
    key = fernet.generate_key().decode()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("JOURNAL_KEY", key)
    code, _, error = command(capsys, "journal", "list")
    assert (code, "there is no journal" in error, list(tmp_path.iterdir())) == (2, True, [])
    path = tmp_path / "fishjam-agents" / "journal.db"
    first, _ = fill(JournalSettings(path=path, key=key))
    config = tmp_path / "config.yaml"
    config.write_text(
        f"agent: {{backend: {{type: parrot}}}}\njournal: {{path: {path}, key: '${{JOURNAL_KEY}}'}}\n"
    )
    for words in ((), (config,), ("--store", path)):
        code, out, _ = command(capsys, "journal", "show", first, *words)
        assert (code, "Thank you." in out) == (0, True)
    monkeypatch.setenv("JOURNAL_KEY", fernet.generate_key().decode())
    code, _, error = command(capsys, "journal", "show", first)
    assert (code, "cannot be read" in error) == (1, True)
    monkeypatch.setenv("JOURNAL_KEY", "short")
    code, _, error = command(capsys, "journal", "list")
    assert (code, "journal.key is no Fernet key" in error) == (2, True)


def test_what_cannot_be_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("agent: {backend: {type: parrot}}\n")
    newer = tmp_path / "newer.db"
    with closing(sqlite3.connect(newer)) as file, file:
        file.execute("PRAGMA user_version = 99")
    for words, code, sentence in (
        ((config,), 2, "has no journal: add one"),
        ((config, "--store", "x.db"), 2, "give one of them"),
        (("--store", tmp_path / "none.db"), 2, "there is no journal"),
        (("--store", newer), 1, "is of format 99, newer than this program"),
        (("--store", "redis://127.0.0.1:1/0"), 1, "cannot be used"),
        (("--store", "redsi://:open-sesame@127.0.0.1:1/0"), 2, "is no address of a Redis: write it as"),
    ):
        exit_code, _, error = command(capsys, "journal", "list", *words)
        assert (exit_code, error.count("\n"), sentence in error) == (code, 1, True), error
        assert "open-sesame" not in error
