"""`top`: the calls of a program for many rooms, live in the terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fishjam_agents.errors import ConfigError, FishjamAgentsError
from fishjam_agents.printable import printable
from fishjam_agents.secrecy import shown_url

if TYPE_CHECKING:
    import httpx
    from rich.console import RenderableType

TOKEN_VARIABLE = "FISHJAM_AGENTS_API_TOKEN"
"""Environment variable with the token of the API: an argument would be seen by all users of the machine."""
DEADLINE = 5.0
"""Seconds for an answer."""
_ORDER = ("running", "starting", "restarting", "parked", "ended")
_STYLES = {"running": "green", "starting": "cyan", "restarting": "yellow", "parked": "red", "ended": "dim"}


def top(
    url: Annotated[
        str, typer.Argument(help="The program's API (`api` of its file).")
    ] = "http://127.0.0.1:8081",
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.2)] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, print and exit.")] = False,
    ended: Annotated[bool, typer.Option("--ended", help="Also calls that are over.")] = False,
) -> None:
    """Show the calls of a program that serves many rooms, until Ctrl-C."""
    import httpx
    from rich.console import Console
    from rich.live import Live

    from fishjam_agents.loopback import is_loopback_url
    from fishjam_agents.urls import is_http_url

    if not is_http_url(url):
        raise ConfigError(
            f"{shown_url(url)} is no address of a program: give its URL, as http://127.0.0.1:8081"
        )
    token = os.environ.get(TOKEN_VARIABLE)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    console = Console(highlight=False)
    local = is_loopback_url(url)
    with httpx.Client(base_url=url, headers=headers, timeout=DEADLINE, trust_env=not local) as http:
        # The first look tells what is wrong with the address or the token.
        view = _look(http, ended)
        if once:
            console.print(view)
            return
        try:
            with Live(view, console=console, screen=console.is_terminal, auto_refresh=False) as live:
                while True:
                    time.sleep(every)
                    try:
                        live.update(_look(http, ended), refresh=True)
                    except FishjamAgentsError as error:
                        # It may be restarted: the table stays away until it is back.
                        live.update(printable(str(error)), refresh=True)
        except KeyboardInterrupt:
            return


def _look(http: httpx.Client, ended: bool) -> RenderableType:
    """The table as of now.

    Raises:
        FishjamAgentsError: The program does not answer, or not as it should.
    """
    import httpx

    address = shown_url(str(http.base_url))
    try:
        ready = http.get("/readyz")
        answer = http.get("/calls")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise FishjamAgentsError(
            f"no program answers at {address} ({error}): is `api` in its file, and is that its address?"
        ) from error
    if answer.status_code in (401, 403):
        raise FishjamAgentsError(f"the API refuses the token: set {TOKEN_VARIABLE} to what `api.token` is")
    try:
        calls = answer.raise_for_status().json()["calls"]
        return table(
            calls, ready.text.strip() if ready.status_code != 200 else None, time.time(), ended=ended
        )
    except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
        raise FishjamAgentsError(
            f"what answers at {address} is no API of this program ({error}): check the address"
        ) from error


def table(
    calls: Sequence[Mapping[str, Any]], not_ready: str | None, now: float, *, ended: bool
) -> RenderableType:
    """Calls as a table, those that go on first, the youngest of them at the top.

    Args:
        calls: As `GET /calls` tells of them.
        not_ready: Why no new rooms are taken; None while they are.
        now: Seconds since the epoch.
        ended: Whether to show calls that are over.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    counts = {status: sum(call["status"] == status for call in calls) for status in _ORDER}
    head = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no calls"
    shown = [call for call in calls if ended or call["status"] != "ended"]
    shown.sort(key=lambda call: (_ORDER.index(call["status"]), -call["started"]))
    rows = Table(box=None, pad_edge=False, header_style="bold")
    with_process = any(call["process"] for call in shown)
    for name in ("call", "room", "bot", "status", "for", *(("process",) if with_process else ()), "reason"):
        rows.add_column(name, no_wrap=name != "reason", justify="right" if name == "for" else "left")
    for call in shown:
        lasted = (call["ended"] or now) - call["started"]
        cells = [call["id"][:8], call["room"], call["bot"], call["status"], _duration(lasted)]
        cells += [call["process"]] if with_process else []
        cells += [call["reason"] or (f"waits: {call['waits']}" if call.get("waits") else "")]
        # Rooms and reasons hold what others wrote.
        rows.add_row(*(Text(printable(str(cell))) for cell in cells), style=_STYLES[call["status"]])
    state = "takes new rooms" if not_ready is None else not_ready
    return Group(Text(printable(f"{head}; {state}")), Text(), rows)


def _duration(seconds: float) -> str:
    whole = max(int(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
