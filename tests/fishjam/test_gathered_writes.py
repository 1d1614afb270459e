"""Writes that wait for each other to the end of a turn: the same bytes, in the same order, for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from fishjam_agents.fishjam import gathered_writes
from fishjam_agents.fishjam.direct import DirectConnection
from fishjam_agents.fishjam.gathered_writes import GatheredWrites
from tests.fishjam.test_frames import Wire, arrive, frame, frames_of, listening

AUDIO = bytes(640)


def gathering(loop: asyncio.AbstractEventLoop) -> GatheredWrites:
    """The writer of a loop on which writes come together."""
    writes = GatheredWrites.shared(loop)
    writes._gathers, writes._mean = True, 100.0
    return writes


steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["chunk", "chunk", "chunk", "interrupt", "large", "ping", "turn", "close"]),
    ),
    max_size=40,
)


@given(steps, st.booleans())
def test_each_connection_sends_what_was_posted_in_order(script: list[tuple[int, str]], gathers: bool) -> None:
    async def scenario() -> tuple[list[list[tuple[Opcode, bytes]]], list[list[tuple[Opcode, bytes]]]]:
        if gathers:
            gathering(asyncio.get_running_loop())
        connections = [await listening(lambda _: None) for _ in range(3)]
        expected: list[list[tuple[Opcode, bytes]]] = [[], [], []]
        for number, (which, what) in enumerate(script):
            connection, said, message = connections[which][0], expected[which], b"%d" % number
            closed = said[-1:] == [(Opcode.CLOSE, b"\x03\xe8")]
            match what:
                case "turn":
                    await asyncio.sleep(0)
                case "ping" if not closed:
                    arrive(connection, frame(Opcode.PING, message))
                    said.append((Opcode.PONG, message))
                case "close" if not closed:
                    connection.protocol.send_close(1000)
                    connection.send_data()
                    said.append((Opcode.CLOSE, b"\x03\xe8"))
                case "chunk" | "interrupt" | "large":
                    message += bytes(70_000 if what == "large" else 0)
                    assert connection.post(message, gather=what != "interrupt") is not closed
                    if not closed:
                        said.append((Opcode.BINARY, message))
                    if what == "interrupt" and not closed:
                        # What decides to fall silent does not wait, nor does what was said before it.
                        assert frames_of(connections[which][1].written) == said
        await asyncio.sleep(0)
        for _, _, task in connections:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in connections), return_exceptions=True)
        return [frames_of(wire.written) for _, wire, _ in connections], expected

    written, expected = asyncio.run(scenario())
    assert written == expected


def on_a_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def test_who_is_alone_waits_for_nobody_but_in_a_trial() -> None:
    async def scenario() -> None:
        connection, wire, task = await listening(lambda _: None)
        late = 0
        for number in range(1, 501):
            assert connection.post(AUDIO, gather=True)
            late += len(frames_of(wire.written)) < number
            await asyncio.sleep(0)
            assert len(frames_of(wire.written)) == number
        assert 0 < late < 40
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    on_a_loop(scenario)


def test_many_in_a_turn_are_written_at_its_end() -> None:
    async def scenario() -> None:
        lines = [await listening(lambda _: None) for _ in range(20)]
        for turn in range(1, 31):
            for connection, _, _ in lines:
                assert connection.post(AUDIO, gather=True)
            waiting = sum(len(frames_of(wire.written)) < turn for _, wire, _ in lines)
            assert waiting == (20 if turn > 5 else 0)
            await asyncio.sleep(0)
            assert all(len(frames_of(wire.written)) == turn for _, wire, _ in lines)
        for _, _, task in lines:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in lines), return_exceptions=True)

    on_a_loop(scenario)


class Broken(Wire):
    """A transport that cannot be written to."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        raise OSError("no more")


class Closing(Wire):
    """A transport that is closed by the time its turn comes."""

    def is_closing(self) -> bool:
        return True


@pytest.mark.parametrize("bad", [Broken, Closing])
def test_a_connection_that_fails_keeps_no_other_from_its_audio(
    bad: type[Wire], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        writes, failing, wire = gathering(loop), bad(), Wire()
        for transport in (failing, wire):
            writes.write(loop, transport, b"audio")
        assert (failing.written, wire.written) == (b"", b"")
        await asyncio.sleep(0)
        assert (failing.written, wire.written) == (b"", b"audio")

    on_a_loop(scenario)
    assert bool(caplog.records) is (bad is Broken)


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered_writes, "_MOST", 1000)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        writes, wire = gathering(loop), Wire()
        for _ in range(10):
            writes.write(loop, wire, AUDIO)
        assert len(wire.written) >= 10 * 640 - 2000
        await asyncio.sleep(0)
        assert wire.written == AUDIO * 10

    on_a_loop(scenario)


def test_a_loop_has_one_writer_of_its_own() -> None:
    async def of_a_loop() -> GatheredWrites:
        connection: DirectConnection = (await listening(lambda _: None))[0]
        assert connection._writes is GatheredWrites.shared(asyncio.get_running_loop())
        return connection._writes

    assert asyncio.run(of_a_loop()) is not asyncio.run(of_a_loop())
