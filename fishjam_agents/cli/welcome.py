"""Messages of `run` when the bot is in its room: where it is, and how to hear it."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import fishjam_agents
from fishjam_agents.errors import install_extra


def welcome(url: str, room_id: str, next_step: Sequence[str]) -> str:
    """The block of lines.

    Args:
        url: Where the Fishjam is.
        room_id: The bot's room.
        next_step: What the user can do now, one line each.
    """
    lines = [
        "The bot is in its room and listens.",
        "",
        f"  Fishjam  {url}",
        f"  Room     {room_id}",
        "",
        *next_step,
        "",
        "Ctrl-C ends the call.",
    ]
    return "\n".join(lines)


def talk_to_it(link: str, others: Sequence[str] = ()) -> list[str]:
    """Return how a person talks to a bot whose Fishjam runs here.

    Args:
        link: The link to the page on this machine.
        others: Links for other machines, where they can reach the server.
    """
    lines = [f"Talk to it: {link}"]
    if others:
        lines += [
            "From a phone or another machine of the network (whoever has the link can talk to the bot;",
            "browsers warn of a certificate that was made on this machine):",
            *(f"  {other}" for other in others),
        ]
    return lines


def install_what_browsers_need() -> list[str]:
    """Return how a person can be given a link, where the extra `webrtc` is missing."""
    return [
        "To talk to it in a browser, install what that needs, and start the bot again:",
        f"  {install_extra('webrtc')}",
    ]


def can_take_browsers() -> bool:
    """Return whether what a browser's sound needs is installed (extra `webrtc`)."""
    return find_spec("aiortc") is not None


def open_in_browser(link: str) -> None:
    """Open a page in the user's browser, in a thread: some take their time, and some block."""
    threading.Thread(target=webbrowser.open, args=(link,), name="open browser", daemon=True).start()


def hear_it(config: Path) -> list[str]:
    """Return how to hear a bot whose Fishjam runs here: the command that calls it with a recording."""
    command = shlex.join(
        [*program(), "simulate", str(config), "--caller", str(example_caller()), "--out", "out"]
    )
    return [
        "Hear it in a call of its own, in another terminal; out/heard.wav is what its caller heard:",
        f"  {command}",
    ]


def meet_it(config: Path) -> list[str]:
    """Return how a person joins a bot in a Fishjam that others can reach."""
    command = shlex.join([*program(), "run", str(config), "--peer-token"])
    return [
        "A person joins the room with a peer token, in a page or an app made with Fishjam's client SDKs",
        "(docs/playground.md). To be given a token, start the bot with:",
        f"  {command}",
    ]


def program(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The words this program was started with, so that the next command works in the same place."""
    name = Path((argv or sys.argv)[0]).name
    words = [name] if name == "fishjam-agents" else ["python", "-m", "fishjam_agents"]
    # uv names itself to what `uv run` starts; without it the next command would miss the environment.
    return ["uv", "run", *words] if environ.get("UV") else words


def example_caller() -> Path:
    """A recorded caller: the one of the checkout this runs from, else a name to replace."""
    path = Path(fishjam_agents.__file__).parents[1] / "audio_fixtures" / "caller.wav"
    if not path.is_file():
        return Path("caller.wav")
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
