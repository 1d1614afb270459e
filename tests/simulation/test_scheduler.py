"""What happens when in a scene."""

from __future__ import annotations

from functools import partial

from fishjam_agents.simulation.scheduler import Missed, Scheduler
from fishjam_agents.testing.time_spec import TimeSpec


def play(*moments: str) -> tuple[Scheduler, list[str]]:
    scheduler, done = Scheduler(), list[str]()
    for moment in moments:
        scheduler.add(TimeSpec.parse(moment), moment, partial(done.append, moment))
    return scheduler, done


def test_actions_happen_at_the_tick_nearest_to_their_time() -> None:
    scheduler, done = play("1", "0.5", "0.505")
    scheduler.perform(0.48)
    assert not done
    scheduler.perform(0.5)
    assert done == ["0.5", "0.505"]
    assert scheduler.pending
    scheduler.perform(2.0)
    assert done[-1] == "1"
    assert not scheduler.pending


def test_an_action_after_an_event_is_timed_from_the_event_meant() -> None:
    scheduler, done = play("1 after user_turn_ended.media_at 2 of bob")
    for peer, media_at in (("bob", 1.0), ("ann", 2.0), ("bob", 3.0), ("bob", 8.0)):
        scheduler.saw({"kind": "user_turn_ended", "peer": peer, "at": media_at + 0.7, "media_at": media_at})
    scheduler.perform(3.98)
    assert not done
    scheduler.perform(4.0)
    assert done == ["1 after user_turn_ended.media_at 2 of bob"]
    scheduler.perform(60.0)
    assert len(done) == 1


def test_what_did_not_happen_is_told_with_its_reason() -> None:
    scheduler, done = play("30", "after reply_ended 2 ")
    scheduler.saw({"kind": "reply_ended", "at": 1.0})
    scheduler.at(40, "", partial(done.append, "nobody misses this"))
    scheduler.perform(2.0)
    assert not done
    assert scheduler.missed() == [
        Missed("after reply_ended 2 ", "reply_ended 2 never came"),
        Missed("30", "the call was over before 30.00 s"),
    ]
