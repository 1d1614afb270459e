"""Units of settings, as part of their types: `lead: Seconds = 0.12`.

A type checker sees the number alone. The JSON Schema and the reference of config.yaml show the unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a number.

    Attributes:
        symbol: As it is written behind the number.
    """

    symbol: str


Seconds = Annotated[float, Unit("s")]
Milliseconds = Annotated[int, Unit("ms")]
Hertz = Annotated[int, Unit("Hz")]
Decibels = Annotated[float, Unit("dB")]
FullScaleDecibels = Annotated[float, Unit("dBFS")]
Share = Annotated[float, Unit("0 to 1")]
Factor = Annotated[float, Unit("times")]
Cores = Annotated[float, Unit("cores")]
PerSecond = Annotated[float, Unit("per second")]
PerMinute = Annotated[int, Unit("per minute")]
Bytes = Annotated[int, Unit("bytes")]
Tokens = Annotated[int, Unit("tokens")]
Characters = Annotated[int, Unit("characters")]
