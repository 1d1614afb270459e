"""`call ROOM --server URL --caller a.wav`: recorded callers join a room of a server that runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fishjam_agents.cli import INTERRUPTED
from fishjam_agents.cli.call_options import Seconds
from fishjam_agents.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fishjam_agents.audio.wav import Clip
    from fishjam_agents.simulation import StopRequest
    from fishjam_agents.simulation.remote.recorded_call import RecordedCall


def call(
    caller: Annotated[
        list[Path],
        typer.Option(
            metavar="WAV",
            help="Its words, a 16-bit WAV. Give it again for another caller.",
            show_default=False,
        ),
    ],
    room: Annotated[
        str | None, typer.Argument(help="Id of the room; not needed with --peer-token.", show_default=False)
    ] = None,
    server: Annotated[
        str,
        typer.Option(
            metavar="URL",
            envvar="FISHJAM_ID",
            help="URL of the Fishjam server, or the ID of an app in Fishjam's cloud.",
            show_default=False,
        ),
    ] = "",
    token: Annotated[
        str,
        typer.Option(
            envvar="FISHJAM_MANAGEMENT_TOKEN",
            help="The server's management token, which lets callers into the room.",
            show_default=False,
        ),
    ] = "",
    peer_token: Annotated[
        str,
        typer.Option(
            envvar="FISHJAM_PEER_TOKEN",
            help="In place of it: the token of one peer, as `run --peer-token` prints it.",
            show_default=False,
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for heard.wav, what was heard of the others, and room.wav, both sides.",
            show_default=False,
        ),
    ] = None,
    seconds: Seconds = None,
) -> None:
    """Call a bot, or whoever is in a room, on a running Fishjam server, and tell what is heard there.

    The callers join as people do in a browser, by WebRTC, and hang up when all is said and everybody was
    quiet for 3 s. Exits with 0 when all was said, with 1 when the call did not come about or broke off,
    with 2 for a mistake in the command, such as a room that is not there. Ctrl-C hangs up and keeps the
    recordings.
    """
    from fishjam_agents.cli.callers import read_callers
    from fishjam_agents.cli.interrupts import stop_at_interrupt
    from fishjam_agents.cli.loops import run_on_loop
    from fishjam_agents.cli.welcome import can_take_browsers
    from fishjam_agents.errors import ConfigError, MissingExtraError
    from fishjam_agents.simulation import StoppedError, StopRequest
    from fishjam_agents.simulation.result import prepare_folder

    if not server:
        raise ConfigError("which server is not said: give --server URL, or set FISHJAM_ID")
    if not peer_token and room is None:
        raise ConfigError("which room is not said: give its id, or a --peer-token")
    if not peer_token and not token:
        raise ConfigError(
            "there is no token: give the server's management token (--token, FISHJAM_MANAGEMENT_TOKEN), "
            "or a --peer-token"
        )
    if peer_token and len(caller) > 1:
        raise ConfigError("a peer token is one caller's: give one --caller, or the management token")
    clips = read_callers(caller)
    if not can_take_browsers():
        raise MissingExtraError("a caller in a room", "webrtc")
    if out is not None:
        prepare_folder(out)
    stop = StopRequest()
    with stop_at_interrupt(stop):
        try:
            result = run_on_loop(
                _call(server, room or "", token, peer_token, _names(caller), clips, seconds, stop)
            )
        except StoppedError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
        say(f"\n{result.seconds:.2f} s of call{_written(result, out)}")
        if stop.asked:
            raise typer.Exit(INTERRUPTED)
    if result.failure is not None:
        raise result.failure
    if not result.said and seconds is None:
        say("The call was over before all was said.")
        raise typer.Exit(1)


async def _call(
    server: str,
    room: str,
    token: str,
    peer_token: str,
    names: Sequence[str],
    clips: Sequence[Clip],
    seconds: float | None,
    stop: StopRequest,
) -> RecordedCall:
    from fishjam_agents.simulation.remote.recorded_call import Account, Admission, admitted, call_room

    if peer_token:
        return await call_room(
            server, [Admission(peer_token)], names, clips, _tell, seconds=seconds, stop=stop
        )
    async with admitted(Account(server, token), room, len(names)) as admissions:
        return await call_room(server, admissions, names, clips, _tell, seconds=seconds, stop=stop)


def _tell(at: float | None, sentence: str) -> None:
    say(f"{'' if at is None else f'{max(at, 0.0):.2f}':>6}  {sentence}")


def _names(paths: Sequence[Path]) -> list[str]:
    """Names for the callers: their files', with a number where two have one."""
    stems = [path.stem for path in paths]
    return [stem if stems.count(stem) == 1 else f"{stem}-{number}" for number, stem in enumerate(stems, 1)]


def _written(result: RecordedCall, out: Path | None) -> str:
    if out is None:
        return ""
    from fishjam_agents.audio.wav import write_wav
    from fishjam_agents.server.media.mix import RECORDING_RATE

    files = {"heard.wav": result.heard, "room.wav": result.room}
    for name, samples in files.items():
        write_wav(out / name, samples, RECORDING_RATE)
    return f" in {', '.join(os.path.join(out, name) for name in files)}"
