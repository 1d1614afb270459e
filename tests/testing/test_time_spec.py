"""Moments and events as scenarios write them."""

from __future__ import annotations

import pytest

from fishjam_agents.testing.time_spec import Reference, TimeSpec


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1.5", TimeSpec(1.5)),
        (".5", TimeSpec(0.5)),
        ("2 s", TimeSpec(2.0)),
        ("300ms", TimeSpec(0.3)),
        ("300 ms after reply_first_audio", TimeSpec(0.3, Reference("reply_first_audio"))),
        ("1 after reply_ended 2", TimeSpec(1.0, Reference("reply_ended", 2))),
        ("after reply_ended", TimeSpec(0.0, Reference("reply_ended"))),
        (
            " 1 s after user_turn_ended.media_at 2 of Anna Maria ",
            TimeSpec(1.0, Reference("user_turn_ended", 2, "Anna Maria", "media_at")),
        ),
    ],
)
def test_a_moment_is_a_time_or_some_time_after_an_event(text: str, moment: TimeSpec) -> None:
    assert TimeSpec.parse(text) == moment


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "'' is no moment: write seconds like 1.5, or `300 ms after reply_first_audio`"),
        ("soon", "'soon' is no moment"),
        ("-1", "'-1' is no moment"),
        ("1 h", "'1 h' is no moment"),
        ("1 before reply_ended", "is no moment"),
        ("1 after reply_endet", "reply_endet is no kind of event: did you mean reply_ended?"),
        ("1 after reply_ended 0", "events are counted from 1: write `reply_ended 1` or `reply_ended`"),
        ("1 after reply_ended.media_at", "reply_ended has no time media_at: use at"),
        ("1 after user_turn_ended.end", "user_turn_ended has no time end: use at or media_at or start"),
        ("1 after reply_ended of ann", "reply_ended is nobody's event: leave out `of ann`"),
    ],
)
def test_what_is_no_moment_is_told(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        TimeSpec.parse(text)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    "text", ["reply_ended", "user_turn_ended.media_at 2 of bob", "peer_left of Anna Maria"]
)
def test_a_reference_is_written_as_it_is_read(text: str) -> None:
    assert str(Reference.parse(text)) == text


def test_what_is_no_event_is_told() -> None:
    with pytest.raises(ValueError, match="'reply ended' is no event: write it like `reply_ended 2`"):
        Reference.parse("reply ended")


def test_a_reference_fits_events_of_its_kind_and_its_peer() -> None:
    event = {"kind": "user_turn_ended", "peer": "bob", "at": 1.0}
    assert Reference("user_turn_ended").fits(event)
    assert Reference("user_turn_ended", 3, "bob").fits(event)
    assert not Reference("user_turn_ended", 1, "ann").fits(event)
    assert not Reference("peer_left").fits(event)
