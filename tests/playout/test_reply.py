"""A reply gives its samples in order, in whatever parts they came and whatever was forgotten of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.playout.reply import Reply

steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from([0, 1, 7, 320, 1000])),
        st.tuples(st.sampled_from(["take", "peek"]), st.integers(0, 900)),
        st.tuples(st.sampled_from(["back", "forget"]), st.integers(0, 1500)),
    ),
    max_size=40,
)


@given(steps)
def test_it_gives_what_was_written(script: list[tuple[str, int]]) -> None:
    reply, wave = Reply("r"), np.empty(0, np.int16)
    forgotten = 0
    for what, number in script:
        here = reply.position
        match what:
            case "write":
                part = np.arange(len(wave), len(wave) + number, dtype=np.int64).astype(np.int16)
                reply.write(part)
                wave = np.concatenate((wave, part))
            case "take":
                np.testing.assert_array_equal(reply.take(number), wave[here : here + number])
                assert reply.position == min(here + number, len(wave))
            case "peek":
                ahead = wave[here : here + number]
                np.testing.assert_array_equal(reply.peek(number)[: len(ahead)], ahead)
                assert reply.position == here
            case "back":
                # As when what was sent is cut.
                reply.position = max(forgotten, here - number)
            case _:
                forgotten = max(forgotten, here - number)
                reply.forget(forgotten)
    assert reply.unsent == len(wave) - reply.position
