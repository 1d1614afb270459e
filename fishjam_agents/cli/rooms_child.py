"""A worker process of a program with several: `python -m fishjam_agents.cli.rooms_child CONFIG DESCRIPTOR`.

Whoever started it holds the other end of the socket. When that is gone, the calls end.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import itertools
import signal
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fishjam_agents.cli.control_channel import LONGEST_MESSAGE, ControlChannel
from fishjam_agents.cli.interrupts import PATIENCE, end_after
from fishjam_agents.cli.log_options import Level, chosen
from fishjam_agents.cli.loops import freeze_gc, run_on_loop
from fishjam_agents.cli.rooms_process import BotFactories, RoomsProcess, make_bots
from fishjam_agents.config import Config, load_config
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.log import setup_logging
from fishjam_agents.printable import printable
from fishjam_agents.worker import OrphanedAgents
from fishjam_agents.worker.call_record import CallRecord
from fishjam_agents.worker.call_service import CallRefusedError, CallRequest
from fishjam_agents.worker.call_settings import CallSettings
from fishjam_agents.worker.created_rooms import CreatedRooms
from fishjam_agents.worker.shared_stores import claims_at

REPORT_INTERVAL = 0.5
"""Seconds between two reports."""
METRICS_EVERY = 10
"""Reports of which one has the metrics of calls, which are long."""


def main() -> None:
    """Serve rooms until told otherwise; exits as the command line does."""
    # The terminal sends these to all processes of the program; the one that started this one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    config, descriptor, level, words = sys.argv[1:]
    try:
        settings = load_config(Path(config))
        bots = make_bots(settings)
        # As the program was asked for, whatever the file says.
        setup_logging(chosen(settings.log, Level(level), words == "True"), settings.secrets)
        run_on_loop(_serve(settings, bots, socket.socket(fileno=int(descriptor))))
    except FishjamAgentsError as error:
        for line in str(error).split("\n"):
            print(f"error: {printable(line)}", file=sys.stderr)
        sys.exit(error.exit_code)


async def _serve(settings: Config, bots: BotFactories, end: socket.socket) -> None:
    channel = await ControlChannel.open(end)
    hello = await channel.receive()
    if hello is None:
        return
    claims = claims_at(hello["claims"], hello["fishjam"], hello["owner"])
    local = settings.fishjam.id == "local"
    process = RoomsProcess(
        settings,
        bots,
        hello["fishjam"],
        hello["token"],
        _created(hello["created"]),
        claims,
        None if local else OrphanedAgents(),
        lambda: channel.send("rooms_missing"),
    )
    process.worker.member = hello["member"]
    process.worker.members = tuple(hello["members"])
    child = _Child(process, channel)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.drain)
    tasks = [
        asyncio.create_task(child.listen(), name="control channel"),
        asyncio.create_task(child.report(), name="reports"),
    ]
    freeze_gc()
    try:
        await process.run()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        child.report_calls()
        with suppress(FishjamAgentsError):
            await claims.close()
        channel.close()


class _Child:
    """Does what the program says, and tells it of calls and load."""

    def __init__(self, process: RoomsProcess, channel: ControlChannel) -> None:
        self._process = process
        self._channel = channel
        self._told: dict[str, CallRecord] = {}
        self._creating: set[asyncio.Task[None]] = set()
        process.worker.finished.append(lambda call: self.report_calls())

    async def listen(self) -> None:
        while (message := await self._channel.receive()) is not None:
            self._take(message)
        self._stop()

    def _stop(self) -> None:
        end_after(PATIENCE)
        self._process.stop()

    def _take(self, message: Mapping[str, Any]) -> None:
        match message["kind"]:
            case "members":
                self._process.worker.set_members(message["members"], message["hurry"])
            case "created_rooms":
                self._process.set_created(_created(message["created"]))
            case "create":
                task = asyncio.create_task(self._create(message), name="call of the API")
                self._creating.add(task)
                task.add_done_callback(self._creating.discard)
            case "end":
                self._process.calls.end(message["id"])
            case "notified":
                self._process.calls.notified(base64.b64decode(message["message"]))
            case "reload":
                self._process.reloader.reload()
            case "drain":
                self._process.drain()
            case "stop":
                self._stop()
            case kind:
                raise AssertionError(kind)

    async def _create(self, message: Mapping[str, Any]) -> None:
        request = request_from(message["request"])
        try:
            record = await self._process.calls.create(request)
        except CallRefusedError as error:
            self._channel.send("refused", id=request.id, status=error.status, message=str(error))
        except FishjamAgentsError as error:
            self._channel.send("refused", id=request.id, status=502, message=str(error))
        except Exception as error:  # noqa: BLE001 - a bug in a bot is answered, too
            self._channel.send("refused", id=request.id, status=500, message=repr(error))
        else:
            self._told[record.id] = record
            self._channel.send("created", record=record.to_json())

    async def report(self) -> None:
        for number in itertools.count():
            self.report_calls()
            if number % METRICS_EVERY == 0:
                await self._report_metrics()
            worker = self._process.worker
            self._channel.send(
                "status",
                not_ready=worker.not_ready(),
                takes_lost_calls=worker.not_ready(again=True) is None,
                metrics={
                    name: value
                    for name, values in self._process.calls.metrics().items()
                    for value in values.values()
                },
            )
            await asyncio.sleep(REPORT_INTERVAL)

    async def _report_metrics(self) -> None:
        text = await asyncio.to_thread(self._process.calls.call_metrics)
        # With some thousand kinds of bots they would be too long for a message: the rest works without.
        if len(text) < LONGEST_MESSAGE // 2:
            self._channel.send("call_metrics", text=text)

    def report_calls(self) -> None:
        """Tell of calls that changed since the last time."""
        now = {record.id: record for record in self._process.calls.records()}
        for id, record in now.items():
            if self._told.get(id) != record:
                self._channel.send("call", record=record.to_json())
        self._told = now


def _created(data: Iterable[Mapping[str, Any]]) -> list[CreatedRooms]:
    return [CreatedRooms(made["bot"], made["create"], tuple(made["ids"])) for made in data]


def request_to(request: CallRequest) -> dict[str, Any]:
    """A request as JSON data, its keys included: the socket leads to a process of our own."""
    return dataclasses.asdict(request)


def request_from(data: Mapping[str, Any]) -> CallRequest:
    """The request that JSON data stand for."""
    return CallRequest(**{**data, "settings": CallSettings(**data["settings"])})


if __name__ == "__main__":
    main()
