"""Two plots beside each other as SVG, for documents: lines over the number of calls, both axes logarithmic.

It is read in light and in dark, by the reader's own setting, and says in words what it shows.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 860, 400
_LEFT, _TOP, _PANEL, _BOTTOM, _GAP = 52, 64, 340, 330, 76
_STYLE = """
  svg { font: 12px system-ui, sans-serif; }
  .page { fill: #ffffff; } text { fill: #24292f; } .soft { fill: #57606a; }
  .grid { stroke: #d8dee4; } .limit { stroke: #57606a; stroke-dasharray: 2 4; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; } .dashed { stroke-dasharray: 6 4; }
  .c0 { stroke: #0969da; } .c1 { stroke: #bc4c00; } .c2 { stroke: #1a7f37; } .c3 { stroke: #8250df; }
  .d0 { fill: #0969da; } .d1 { fill: #bc4c00; } .d2 { fill: #1a7f37; } .d3 { fill: #8250df; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } text { fill: #e6edf3; } .soft { fill: #9198a1; }
    .grid { stroke: #30363d; } .limit { stroke: #9198a1; }
    .c0 { stroke: #58a6ff; } .c1 { stroke: #f0883e; } .c2 { stroke: #3fb950; } .c3 { stroke: #bc8cff; }
    .d0 { fill: #58a6ff; } .d1 { fill: #f0883e; } .d2 { fill: #3fb950; } .d3 { fill: #bc8cff; }
  }
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot.

    Attributes:
        title: Its name; lines of one name have one colour, in the order in which names come.
        dashed: Whether it is the second of its name.
        points: Calls and what was measured; what is not positive, or not finite, is left out.
    """

    title: str
    dashed: bool
    points: Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the two plots.

    Attributes:
        title: What it shows, with its unit.
        lines: Its lines.
        low: Lower end of its scale.
        high: Upper end.
        limit: Value that is marked; None marks none.
    """

    title: str
    lines: Sequence[Line]
    low: float
    high: float
    limit: float | None = None


def svg(title: str, notes: str, panels: Sequence[Panel], calls: Sequence[int]) -> str:
    """Draw the panels.

    Args:
        title: Heading, and what readers of the page are told who cannot see it.
        notes: Legend of what is dashed and of what is marked.
        panels: One or two of them.
        calls: Numbers of calls that are marked on the axis.
    """
    names = list(dict.fromkeys(line.title for panel in panels for line in panel.lines))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{_HEIGHT}"/>',
    ]
    x = float(_LEFT)
    for number, name in enumerate(names):
        parts.append(f'<line class="line c{number}" x1="{x:.0f}" y1="20" x2="{x + 22:.0f}" y2="20"/>')
        parts.append(f'<text x="{x + 28:.0f}" y="24">{html.escape(name)}</text>')
        x += 48 + 6.4 * len(name)
    for number, panel in enumerate(panels):
        parts += _panel(panel, _LEFT + number * (_PANEL + _GAP), calls, names)
    parts.append(f'<text class="soft" x="{_LEFT}" y="{_HEIGHT - 12}">{html.escape(notes)}</text>')
    return "\n".join((*parts, "</svg>", ""))


def _panel(panel: Panel, left: int, calls: Sequence[int], names: list[str]) -> list[str]:
    def across(value: float) -> float:
        return left + _PANEL * math.log(value / calls[0]) / math.log(calls[-1] / calls[0])

    def up(value: float) -> float:
        inside = min(max(value, panel.low), panel.high)
        share = math.log(inside / panel.low) / math.log(panel.high / panel.low)
        return _BOTTOM - (_BOTTOM - _TOP - 12) * share

    parts = [f'<text x="{left}" y="{_TOP - 8}" font-weight="600">{html.escape(panel.title)}</text>']
    for value in _ticks(panel.low, panel.high):
        parts.append(
            f'<line class="grid" x1="{left}" y1="{up(value):.1f}" x2="{left + _PANEL}" y2="{up(value):.1f}"/>'
        )
        parts.append(
            f'<text class="soft" x="{left - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    shown = math.inf
    # The last one is always told.
    for number in reversed(calls):
        if shown - across(number) < 24:
            continue
        shown = across(number)
        parts.append(
            f'<text class="soft" x="{shown:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{number}</text>'
        )
    parts.append(f'<text class="soft" x="{left + _PANEL}" y="{_BOTTOM + 36}" text-anchor="end">calls</text>')
    if panel.limit is not None:
        y = up(panel.limit)
        parts.append(f'<line class="limit" x1="{left}" y1="{y:.1f}" x2="{left + _PANEL}" y2="{y:.1f}"/>')
    for line in panel.lines:
        places = [
            (across(number), up(value)) for number, value in line.points if value > 0 and math.isfinite(value)
        ]
        colour = names.index(line.title)
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        dashed = " dashed" if line.dashed else ""
        parts.append(f'<polyline class="line c{colour}{dashed}" points="{path}"/>')
        parts += [f'<circle class="d{colour}" cx="{px:.1f}" cy="{py:.1f}" r="2.6"/>' for px, py in places]
    return parts


def _ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = (digit * 10.0**decade for decade in decades for digit in (1, 2, 5))
    return [value for value in values if low <= value <= high]
