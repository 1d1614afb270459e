"""The plot of the bench is a picture that browsers can draw."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from bench.plot import Line, Panel, svg

SVG = "{http://www.w3.org/2000/svg}"


def test_a_plot_has_a_line_for_each_curve_and_leaves_out_what_was_not_measured() -> None:
    lines = [
        Line("ours", False, [(1, 700.0), (10, 300.0), (100, 150.0)]),
        Line("ours", True, [(1, 800.0), (10, math.inf), (100, 0.0)]),
        Line("<theirs>", False, [(1, 350.0)]),
    ]
    panels = [Panel("cost", lines, 10, 1000, 50.0), Panel("delay", lines[:1], 10, 1000)]
    drawn = ElementTree.fromstring(svg("Cost of calls", "dashed: asyncio", panels, (1, 10, 100)))

    assert len(drawn.findall(f"{SVG}polyline")) == 4
    assert len(drawn.findall(f"{SVG}circle")) == 3 + 1 + 1 + 3
    assert drawn.findtext(f"{SVG}title") == "Cost of calls"
    texts = [text.text for text in drawn.findall(f"{SVG}text")]
    assert {"ours", "<theirs>", "cost", "delay", "1", "10", "100", "dashed: asyncio"} <= set(texts)
    assert "prefers-color-scheme: dark" in (drawn.findtext(f"{SVG}style") or "")


def test_values_beyond_the_scale_stay_in_the_picture() -> None:
    panel = Panel("cost", [Line("ours", False, [(1, 1.0), (100, 1e6)])], 10, 1000)
    drawn = ElementTree.fromstring(svg("Cost", "", [panel], (1, 100)))
    low, high = (float(dot.attrib["cy"]) for dot in drawn.findall(f"{SVG}circle"))
    assert 0 < high < low < 400
