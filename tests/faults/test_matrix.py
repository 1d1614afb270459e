"""Every fault of every socket: the call goes on or ends in one right sentence, and nothing is left behind.

A run has each fault of each socket once, and each phase of a call for each socket at least once. All cells,
of which there are a thousand, are run with `FISHJAM_FAULTS=all`; what came of them is added to the file that
`FISHJAM_FAULTS_RESULTS` names, for `python -m tests.faults.table`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishjam_agents.server import EmbeddedServer

from .cells import SOCKETS, Cell, Socket, core_of, every_cell
from .conditions import impatient
from .expectations import judge
from .faulty_call import Outcome, suffer

AT_ONCE = int(os.environ.get("FISHJAM_FAULTS_AT_ONCE", "8"))
"""Calls that suffer at the same time: they mostly wait."""
LONGEST = 90.0
"""Seconds after which a call is given up: every deadline that it states is shorter."""

ALL = os.environ.get("FISHJAM_FAULTS") == "all"


def chosen(socket: Socket) -> list[Cell]:
    return [cell for cell in every_cell() if cell.socket == socket] if ALL else core_of(socket)


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No thread and no descriptor is left, and no traceback was logged."""
    gc.collect()
    threads, descriptors = set(threading.enumerate()), _descriptors()
    with impatient(), caplog.at_level(logging.WARNING):
        yield
    gc.collect()
    left = {thread for thread in threading.enumerate() if thread not in threads and thread.is_alive()}
    assert not [thread for thread in left if not thread.daemon], left
    more = _descriptors() - descriptors
    assert not more, f"left open: {[os.readlink(f'/proc/self/fd/{number}') for number in more]}"
    ours = (record for record in caplog.records if not record.name.startswith("websockets"))
    shown = [record for record in ours if record.exc_info]
    assert not shown, [f"{record.name}: {record.getMessage()}: {record.exc_info}" for record in shown]


def _descriptors() -> set[int]:
    # The listing itself needs one, which is gone by now.
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}


async def _suffer(cells: list[Cell]) -> list[Outcome]:
    places = asyncio.Semaphore(AT_ONCE)
    mistakes: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: mistakes.append(str(context)))

    async def one(cell: Cell) -> Outcome:
        async with places:
            try:
                async with asyncio.timeout(LONGEST):
                    outcome = await suffer(cell, server)
            except TimeoutError:
                outcome = Outcome(cell, problems=[f"it was not over within {LONGEST:g} s"])
            outcome.problems = judge(outcome)
            return outcome

    async with EmbeddedServer() as server:
        outcomes = await asyncio.gather(*(one(cell) for cell in cells))
        # On a busy machine pings are late and words go unheard: what is wrong with a call is so again, alone.
        outcomes = [await one(outcome.cell) if outcome.problems else outcome for outcome in outcomes]
    _keep(outcomes)
    for _ in range(100):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            break
        await asyncio.sleep(0.02)
    assert not left, f"tasks are left: {left}"
    assert not mistakes, mistakes
    return outcomes


def _keep(outcomes: list[Outcome]) -> None:
    results = os.environ.get("FISHJAM_FAULTS_RESULTS")
    if results:
        with Path(results).open("a") as file:
            file.writelines(json.dumps(outcome.as_json()) + "\n" for outcome in outcomes)


@pytest.mark.timeout(7200 if ALL else 600)
@pytest.mark.parametrize("socket", SOCKETS)
def test_a_call_goes_on_or_ends_in_one_right_sentence(socket: Socket) -> None:
    outcomes = asyncio.run(_suffer(chosen(socket)))
    problems = [f"{outcome.cell}: {problem}" for outcome in outcomes for problem in outcome.problems]
    assert not problems, "\n".join(problems)


def test_a_run_has_every_fault_socket_and_phase() -> None:
    cells = [cell for socket in SOCKETS for cell in core_of(socket)]
    whole = list(every_cell())
    assert {(cell.socket, cell.trouble.name) for cell in cells} == {(c.socket, c.trouble.name) for c in whole}
    assert {(cell.socket, cell.phase) for cell in cells} == {(c.socket, c.phase) for c in whole}
