"""`run CONFIG`: a bot in a room, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fishjam_agents.cli.log_options import LogLevel, LogWords, chosen
from fishjam_agents.cli.loops import freeze_gc, run_on_loop
from fishjam_agents.cli.output import say
from fishjam_agents.errors import ConfigError, FishjamAgentsError
from fishjam_agents.printable import printable

if TYPE_CHECKING:
    from fishjam_agents.audio.wav import Clip
    from fishjam_agents.cli.playground import LiveCall
    from fishjam_agents.config import Config
    from fishjam_agents.journal.journal import Journals
    from fishjam_agents.observe.metrics import CallMetrics
    from fishjam_agents.observe.tracing import CallTracing
    from fishjam_agents.pipeline import AgentPipeline
    from fishjam_agents.server import EmbeddedServer
    from fishjam_agents.simulation import Scene
    from fishjam_agents.worker import CallOutcome, JoinedRoom, Worker


def run(
    config: Annotated[Path, typer.Argument(help="The config.yaml.", show_default=False)],
    caller: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="WAV",
            help="A 16-bit WAV that a simulated caller speaks. Give it again for another caller.",
        ),
    ] = None,
    listen: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.wav", help="WAV to write what the first caller heard to.", show_default=False
        ),
    ] = None,
    peer_token: Annotated[
        bool,
        typer.Option(
            "--peer-token", help="Print a token with which a person joins in a Fishjam client, for a day."
        ),
    ] = False,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the page on which one talks to the bot in the browser.")
    ] = False,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start again whenever the file, or a Python module, changes.")
    ] = False,
    log_level: LogLevel = None,
    log_words: LogWords = False,
) -> None:
    """Put the bot into a room and keep it there until Ctrl-C; or bots into all rooms that the file names."""
    from fishjam_agents.cli.callers import read_callers
    from fishjam_agents.config import load_config, pipeline_factory
    from fishjam_agents.observe.log import setup_logging
    from fishjam_agents.pipeline.preload import preload

    if reload:
        from fishjam_agents.cli.development import run_again_on_changes

        words = ["run", str(config), *(["--peer-token"] if peer_token else [])]
        words += [word for wav in caller or () for word in ("--caller", str(wav))]
        words += [] if listen is None else ["--listen", str(listen)]
        words += [] if log_level is None else ["--log-level", log_level.value]
        words += ["--log-words"] if log_words else []
        raise typer.Exit(run_again_on_changes(config, [*words, *(["--open"] if open_page else [])]))
    settings = load_config(config)
    settings = replace(settings, log=chosen(settings.log, log_level, log_words))
    if caller and settings.fishjam.id != "local":
        raise ConfigError("--caller needs a Fishjam on this machine: set fishjam.id to local")
    if listen is not None and not caller:
        raise ConfigError("--listen writes what a caller heard: add --caller")
    if open_page and settings.fishjam.id != "local":
        raise ConfigError("--open needs a Fishjam on this machine: set fishjam.id to local")
    if settings.is_multi_room:
        from fishjam_agents.cli.serve_rooms import serve_rooms

        if caller or peer_token or open_page:
            option = "--caller" if caller else "--peer-token" if peer_token else "--open"
            raise ConfigError(f"{option} is for a file about one room, with room in place of rooms and api")
        serve_rooms(settings)
        return
    pipeline = pipeline_factory(settings)()
    metrics: CallMetrics | None = None
    if settings.observe.metrics is not None:
        from fishjam_agents.cli.metrics import required_call_metrics

        metrics = required_call_metrics()
        metrics.observe(pipeline)
    clips = read_callers(caller or ())
    if listen is not None and (
        listen.is_dir() or not listen.parent.is_dir() or not os.access(listen.parent, os.W_OK)
    ):
        raise FishjamAgentsError(f"cannot write {listen}: give a file in a folder you may write to")
    setup_logging(settings.log, settings.secrets)
    # Here, where nothing waits for the loop: whoever joins is heard and answered at once.
    preload(pipeline)
    run_on_loop(_Run(settings, pipeline, metrics, clips, listen, peer_token, open_page).run())


class _Run:
    """One run of the command: server, worker, callers."""

    def __init__(
        self,
        settings: Config,
        pipeline: AgentPipeline,
        metrics: CallMetrics | None,
        clips: Sequence[Clip],
        listen: Path | None,
        peer_token: bool,
        open_page: bool,
    ) -> None:
        from fishjam_agents.observe.event_webhooks import EventWebhooks

        self._settings = settings
        self._pipeline = pipeline
        self._metrics = metrics
        self._metrics_url: str | None = None
        self._tracing: CallTracing | None = None
        self._webhooks = EventWebhooks(settings.observe.webhooks)
        self._clips = clips
        self._listen = listen
        self._journals: Journals | None = None
        self._peer_token = peer_token
        self._open_page = open_page
        self._live: LiveCall | None = None
        self._left = False
        self._trouble = False
        self._server: EmbeddedServer | None = None
        self._worker: Worker | None = None
        self._scene: Scene | None = None

    async def run(self) -> None:
        from fishjam_agents.cli.interrupts import interrupts
        from fishjam_agents.cli.local_server import local_server
        from fishjam_agents.worker import CallOutcome

        with interrupts(self._leave):
            async with AsyncExitStack() as stack:
                if self._settings.fishjam.id == "local":
                    server = local_server(self._settings)
                    self._server = await stack.enter_async_context(server)
                if self._metrics is not None and self._settings.observe.metrics is not None:
                    from fishjam_agents.cli.metrics import metrics_server

                    served = metrics_server(self._settings.observe.metrics, self._metrics)
                    self._metrics_url = await stack.enter_async_context(served)
                if self._settings.journal is not None:
                    from fishjam_agents.worker.shared_stores import open_journals

                    journals = open_journals(self._settings.journal)
                    self._journals = await stack.enter_async_context(journals)
                from fishjam_agents.cli.tracing import call_tracing

                self._tracing = await stack.enter_async_context(call_tracing(self._settings.observe.tracing))
                try:
                    outcome = await self._call()
                finally:
                    await self._webhooks.close()
        if isinstance(outcome, FishjamAgentsError):
            raise outcome
        if outcome is not CallOutcome.STOPPED:
            say(f"The call is over: {outcome.value}.")
        if self._trouble:
            raise typer.Exit(FishjamAgentsError.exit_code)

    def _leave(self) -> None:
        self._left = True
        if self._worker is not None:
            self._worker.stop()
        say("goodbye")

    async def _call(self) -> CallOutcome | FishjamAgentsError:
        from fishjam_agents.worker import OrphanedAgents, Worker
        from fishjam_agents.worker.one_room_journal import OneRoomJournal

        fishjam = self._settings.fishjam
        if self._server is not None:
            url, token = self._server.url, self._server.token
        else:
            url, token = fishjam.id, fishjam.management_token or ""
        placement: asyncio.Future[JoinedRoom] = asyncio.get_running_loop().create_future()

        def placed(where: JoinedRoom) -> None:
            self._welcome(url, where)
            freeze_gc()
            placement.set_result(where)

        self._worker = Worker(
            self._pipeline,
            fishjam_id=url,
            management_token=token,
            room=self._settings.room,
            limits=self._settings.limits,
            placed=placed,
            # The embedded server takes its rooms with it, whatever happens.
            orphans=None if self._server is not None else OrphanedAgents(),
            journal=None if self._journals is None else OneRoomJournal(self._journals),
        )
        if self._left:
            self._worker.stop()
        async with asyncio.TaskGroup() as tasks:
            company = tasks.create_task(self._company(placement, url, token))
            try:
                outcome = await _outcome(self._worker)
            finally:
                if self._live is not None:
                    self._live.close()
            if self._scene is not None:
                self._scene.stop()
            else:
                company.cancel()
        return outcome

    def _welcome(self, url: str, where: JoinedRoom) -> None:
        from fishjam_agents.cli.welcome import hear_it, meet_it, welcome
        from fishjam_agents.observe.log import EventLog

        self._webhooks.observe(self._pipeline, where.room_id)
        if self._tracing is not None:
            self._tracing.observe(self._pipeline, where.room_id)
        self._pipeline.observers.append(EventLog(lambda: self._pipeline.call_id, where.room_id, bot="agent"))
        config = self._settings.source
        next_step = []
        if self._clips:
            next_step += [f"{len(self._clips)} caller{'s' if len(self._clips) > 1 else ''} will speak to it."]
        if self._server is not None:
            next_step += self._show(self._server, where)
            if not self._clips:
                next_step += ["", *hear_it(config)]
        elif not self._peer_token:
            next_step += meet_it(config)
        if self._metrics_url is not None:
            next_step += ["", f"Prometheus finds its metrics at {self._metrics_url}"]
        say(welcome(url, where.room_id, next_step))

    def _show(self, server: EmbeddedServer, where: JoinedRoom) -> list[str]:
        """Show the call on the playground, and say how to get there, or what that needs."""
        from fishjam_agents.cli.welcome import (
            can_take_browsers,
            install_what_browsers_need,
            open_in_browser,
            talk_to_it,
        )

        if not can_take_browsers():
            return install_what_browsers_need()
        from fishjam_agents.cli.playground import LiveCall

        self._live = LiveCall(self._pipeline, server, where)
        registered = self._live.registered
        link = registered.link(server.url)
        if self._open_page:
            open_in_browser(link)
        return talk_to_it(link, [registered.link(url) for url in server.public_urls if url != server.url])

    async def _company(self, placement: asyncio.Future[JoinedRoom], url: str, token: str) -> None:
        """Whoever the user wants in the room besides the bot."""
        where = await placement
        try:
            if self._peer_token:
                await _admit(url, token, where.room_id)
            if self._server is not None and self._clips:
                await self._play(self._server, where.room_id)
        except FishjamAgentsError as error:
            # The bot has done nothing wrong and stays; the exit code tells of it.
            self._trouble = True
            print(f"error: {printable(str(error))}", file=sys.stderr, flush=True)

    async def _play(self, server: EmbeddedServer, room_id: str) -> None:
        from fishjam_agents.audio.wav import write_wav
        from fishjam_agents.server.media.recorder import RECORDING_RATE
        from fishjam_agents.simulation import Scene, parts_of

        self._scene = Scene(server.rooms.get(room_id), server.clock, parts_of(self._clips))
        recording = await self._scene.play()
        if recording is None:
            return
        if self._listen is not None:
            write_wav(self._listen, recording.heard(self._scene.callers[0].id), RECORDING_RATE)
            say(f"The callers have hung up; {self._listen} is what the first of them heard.")
        else:
            say("The callers have hung up.")
        self._scene.leave()


async def _outcome(worker: Worker) -> CallOutcome | FishjamAgentsError:
    try:
        return await worker.run()
    except FishjamAgentsError as error:
        return error


async def _admit(url: str, token: str, room_id: str) -> None:
    from fishjam_agents.fishjam import AsyncFishjamClient

    async with AsyncFishjamClient(url, token) as client:
        _, peer_token = await client.create_peer(room_id)
    say(
        f"A person joins with this peer token, in a page or an app made with Fishjam's client SDKs and {url} "
        f"(docs/playground.md):\n  {peer_token}"
    )
