"""Echo: the bot's own voice comes back from the caller's loudspeaker. It must not interrupt itself by it."""

from __future__ import annotations

from quality.bench import Bench
from quality.echo_calls import BOT_LEVEL, EchoOutcome, alone, interrupted
from quality.echo_room import echo_path
from quality.figures import Figure, Part, Table, median_p95, per_cent, share

_LOSSES = (-6.0, -12.0, -20.0)
_CONTROL = -100.0
"""No echo at all, with a caller as loud as after -20 dB: what the instrument itself gets wrong."""
_DELAYS = (0.05, 0.15, 0.3)
_ABOVE = 10.0
_WANTED = 90.0
"""Per cent of interruptions 10 dB above the echo that must be heard; an earlier measurement found 95."""


def measure(bench: Bench) -> Part:
    """Calls in which the bot hears itself: alone, and with a caller 10 dB louder than the echo."""
    outcomes = {loss: EchoOutcome() for loss in (*_LOSSES, _CONTROL)}
    for loss, outcome in outcomes.items():
        for delay in _DELAYS[bench.amount(0, 2) :]:
            for room in (False, True)[bench.amount(0, 1) :]:
                rng = bench.rng("echo", loss, delay, room)
                path = echo_path(rng, loss, delay, room=room)
                alone(bench, rng, path, outcome)
                level = min(BOT_LEVEL + max(loss, min(_LOSSES)) + _ABOVE, -12.0)
                interrupted(bench, rng, path, level, outcome)
    return Part(_figures([outcomes[loss] for loss in _LOSSES]), [_table(outcomes)])


def _figures(outcomes: list[EchoOutcome]) -> list[Figure]:
    minutes = sum(outcome.replying for outcome in outcomes) / 60
    confirmed = sum(outcome.confirmed for outcome in outcomes)
    caught, spoken = (
        sum(getattr(outcome, name) for outcome in outcomes) for name in ("caught", "interruptions")
    )
    return [
        Figure(
            "false confirms by the bot's own echo, -6 to -20 dB, 50 to 300 ms",
            "0 a minute",
            f"{confirmed / minutes if minutes else 0:.1f} ({confirmed} in {minutes:.1f} min of reply)",
            confirmed == 0 if minutes else None,
        ),
        Figure(
            "interruptions 10 dB above the echo confirmed",
            f"they work: at least {_WANTED:.0f} %",
            per_cent(caught, spoken),
            share(caught, spoken) >= _WANTED,
        ),
    ]


def _table(outcomes: dict[float, EchoOutcome]) -> Table:
    rows = []
    for loss, outcome in outcomes.items():
        minutes = outcome.replying / 60 or 1
        rows.append(
            (
                *(
                    "none" if loss == _CONTROL else f"{loss:.0f}",
                    f"{outcome.suspected / minutes:.1f}",
                    f"{outcome.confirmed / minutes:.1f}",
                ),
                *(per_cent(outcome.caught, outcome.interruptions), median_p95(outcome.delays)),
            )
        )
    columns = (
        *("echo, dB", "false Suspected/min", "false confirms/min"),
        *("interruptions 10 dB above it confirmed", "after median/p95, ms"),
    )
    return Table("The bot's own voice in the caller's microphone", columns, rows, _NOTE)


_NOTE = (
    "Per minute of reply under way, in whole conversations. Delays of 50, 150 and 300 ms, each as one "
    "reflection and with a room's 40; room noise at -65 dBFS. An interruption counts when a barge-in is "
    "confirmed while it is spoken, its onset is not before the interruption's, and a reply was under way. "
    "None: the control, where whatever goes wrong is the fault of the bench."
)
