"""The load of the process as its calls tell of it: an event, and a hook of the bot."""

from __future__ import annotations

from collections.abc import Callable

from fishjam_agents import events
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.process_load import ProcessLoad


def watch_overload(context: CallContext) -> Callable[[], None]:
    """Measure the load of the process as long as the call goes on, and tell of it.

    Returns:
        The function that ends it.
    """
    process = ProcessLoad.shared()

    def changed() -> None:
        load = process.load
        event = events.Overload(context.now(), process.state, round(load.lag, 3), round(load.cpu, 3))
        context.emit(event)
        context.start_hook("on_overload", event)

    return process.watch(changed)
