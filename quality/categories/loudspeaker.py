"""Loudspeaker: callers who are no louder than the bot's echo, on paths that do not stay as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fishjam_agents.hearing import echo_canceller
from fishjam_agents.hearing.settings import EchoName
from quality.bench import Bench
from quality.echo_calls import BOT_LEVEL, EchoOutcome, alone, interrupted
from quality.echo_room import EchoPath, echo_path
from quality.figures import Figure, Part, Table, median_p95, per_cent, share
from quality.sounds import Rng

_LOSS = -12.0
"""Level of the echo against what was played, dB."""
_DELAYS = (0.06, 0.15, 0.3)
_ABOVE = (10.0, 0.0, -6.0)
_WAYS: tuple[EchoName, ...] = ("guard", "aec3")
_WANTED = 98.0


@dataclass(frozen=True, slots=True)
class _Condition:
    """Changes to an echo on its way.

    Attributes:
        name: What the table says.
        loss: Share of packets that never arrive.
        drift: Share by which its delay grows with time.
        moves: Room time, and samples by which the delay changes then.
    """

    name: str
    loss: float = 0.0
    drift: float = 0.0
    moves: tuple[float, int] = (0.0, 0)

    def path(self, rng: Rng, delay: float) -> EchoPath:
        """A path in a room, with what happens on it."""
        return replace(echo_path(rng, _LOSS, delay, room=True), drift=self.drift, moves=self.moves)


_CONDITIONS = (
    _Condition("steady"),
    _Condition("1 % of packets lost", loss=0.01),
    _Condition("clocks 200 ppm apart", drift=0.0002),
    _Condition("80 ms later from 15 s on", moves=(15.0, 1280)),
)


def measure(bench: Bench) -> Part:
    """Calls behind the guard alone and behind AEC3: with nobody, and with callers 10 dB above to 6 below."""
    echo_canceller.require()
    cells: dict[tuple[str, EchoName], tuple[EchoOutcome, dict[float, EchoOutcome]]] = {}
    for condition in _CONDITIONS[: bench.amount(len(_CONDITIONS), 1)]:
        for way in _WAYS:
            hearing = replace(bench.vad.hearing, echo=way)
            behind = replace(bench, vad=replace(bench.vad, hearing=hearing))
            nobody, callers = EchoOutcome(), {above: EchoOutcome() for above in _ABOVE}
            for delay in _DELAYS[bench.amount(0, 2) :]:
                rng = bench.rng("loudspeaker", condition.name, delay)
                path = condition.path(rng, delay)
                alone(behind, rng, path, nobody, condition.loss)
                for above, outcome in callers.items():
                    interrupted(behind, rng, path, BOT_LEVEL + _LOSS + above, outcome, condition.loss)
            cells[condition.name, way] = nobody, callers
    return Part(_figures(cells), [_table(cells)])


_Cells = dict[tuple[str, EchoName], tuple[EchoOutcome, dict[float, EchoOutcome]]]


def _figures(cells: _Cells) -> list[Figure]:
    steady = cells["steady", "aec3"]
    caught = sum(steady[1][above].caught for above in (0.0, -6.0))
    spoken = sum(steady[1][above].interruptions for above in (0.0, -6.0))
    minutes = sum(nobody.replying for (_, way), (nobody, _) in cells.items() if way == "aec3") / 60
    confirmed = sum(nobody.confirmed for (_, way), (nobody, _) in cells.items() if way == "aec3")
    return [
        Figure(
            "interruptions as loud as the echo and 6 dB below it confirmed behind AEC3",
            f"at least {_WANTED:.0f} %",
            per_cent(caught, spoken),
            share(caught, spoken) >= _WANTED,
        ),
        Figure(
            "false confirms by the bot's own echo behind AEC3, with loss, drift and moves",
            "0 a minute",
            f"{confirmed / minutes if minutes else 0:.1f} ({confirmed} in {minutes:.1f} min of reply)",
            confirmed == 0 if minutes else None,
        ),
    ]


def _table(cells: _Cells) -> Table:
    rows = []
    for (condition, way), (nobody, callers) in cells.items():
        minutes = nobody.replying / 60 or 1
        rows.append(
            (
                *(condition, way, f"{nobody.suspected / minutes:.1f}", f"{nobody.confirmed / minutes:.1f}"),
                *(per_cent(outcome.caught, outcome.interruptions) for outcome in callers.values()),
                median_p95([delay for outcome in callers.values() for delay in outcome.delays]),
            )
        )
    columns = (
        *("echo", "`hearing.echo`", "false Suspected/min", "false confirms/min"),
        *(f"{above:+.0f} dB confirmed" for above in _ABOVE),
        "after median/p95, ms",
    )
    return Table("Callers against the echo of the bot's voice", columns, rows, _NOTE)


_NOTE = (
    "Echoes of -12 dB after 60, 150 and 300 ms in a room with 40 reflections; callers 10 dB above, as loud "
    "as, and 6 dB below the echo. What counts is said under the first table of echoes."
)
