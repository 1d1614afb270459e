"""`console CONFIG`: talk to the bot in the terminal, with this machine's microphone and loudspeaker."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fishjam_agents.cli.log_options import LogLevel, chosen
from fishjam_agents.cli.loops import run_on_loop
from fishjam_agents.cli.output import say
from fishjam_agents.errors import ConfigError, FishjamAgentsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fishjam_agents.devices import AudioDevice


def console(
    config: Annotated[Path | None, typer.Argument(help="The config.yaml.", show_default=False)] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name, part of it or number of the microphone and loudspeaker; give it twice where these "
            "are two: the microphone first. Without it, the system's own choice.",
            show_default=False,
        ),
    ] = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="Print the microphones and loudspeakers there are.")
    ] = False,
    recording: Annotated[
        Path | None,
        typer.Option(
            "--in",
            metavar="WAV",
            help="A 16-bit WAV in place of the microphone; the call ends when it has been answered.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.wav", help="WAV in place of the loudspeaker, with --in.", show_default=False
        ),
    ] = None,
    log_level: LogLevel = None,
) -> None:
    """Talk to the bot here, with this machine's microphone and loudspeaker.

    There is no room, no server and no account: of the config, `fishjam` and `room` are not used. The keys are
    shown while it goes on; Ctrl-C ends it.
    """
    if list_devices:
        from fishjam_agents.devices.portaudio import describe_devices

        say(describe_devices())
        return
    if config is None:
        raise typer.BadParameter("give the config.yaml of the bot", param_hint="CONFIG")
    if (recording is None) != (out is None):
        raise typer.BadParameter(
            "a file for the microphone needs one for the loudspeaker: give --in and --out"
        )
    if recording is not None and device:
        raise typer.BadParameter("files need no device", param_hint="--device")

    from fishjam_agents.cli.terminal.console_call import ConsoleCall
    from fishjam_agents.config import load_config, pipeline_factory

    settings = load_config(config)
    settings = replace(settings, log=chosen(settings.log, log_level, words=False))
    pipeline = pipeline_factory(settings)()
    run_on_loop(ConsoleCall(settings, pipeline, _open(device or (), recording, out)).run())


def _open(names: Sequence[str], recording: Path | None, out: Path | None) -> AudioDevice:
    if recording is None or out is None:
        from fishjam_agents.devices.portaudio import PortAudioDevice

        return PortAudioDevice(names)

    from fishjam_agents.audio.wav import read_wav
    from fishjam_agents.devices import WavDevice
    from fishjam_agents.errors import AudioError

    try:
        clip = read_wav(recording)
    except AudioError as error:
        raise ConfigError(str(error)) from error
    if out.is_dir() or not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise FishjamAgentsError(f"cannot write {out}: give a file in a folder you may write to")
    return WavDevice(clip, out, name=str(recording))
