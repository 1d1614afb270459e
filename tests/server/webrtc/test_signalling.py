"""Negotiation with a browser, as tables of what is told: no socket, no clock."""

from __future__ import annotations

from typing import Any

import betterproto
import pytest

from fishjam_agents.protocol import decode
from fishjam_agents.protocol.generated import peer as schema
from fishjam_agents.server.webrtc.sdp import OfferError, Section
from fishjam_agents.server.webrtc.signalling import (
    MAX_TRACKS,
    EndpointView,
    Negotiation,
    RoomView,
    TrackView,
    endpoint_metadata,
)

MIC = '{"type":"microphone"}'


def view(**endpoints: dict[str, TrackView]) -> RoomView:
    return {peer_id: EndpointView("{}", tracks) for peer_id, tracks in endpoints.items()}


def audio(metadata: str = MIC, speaking: bool | None = None) -> TrackView:
    return TrackView("audio", metadata, speaking)


def video() -> TrackView:
    return TrackView("video", '{"type":"camera"}')


def told(events: list[bytes]) -> list[tuple[Any, ...]]:
    """Each event in short."""
    short: list[tuple[Any, ...]] = []
    for data in events:
        event = decode(schema.PeerMessage, data).server_media_event
        which, content = betterproto.which_one_of(event, "content")
        content_: Any = content
        match which:
            case "connected":
                short.append((which, sorted(content_.endpoint_id_to_endpoint)))
            case "endpoint_added" | "endpoint_updated":
                short.append((which, content_.endpoint_id, content_.metadata_json))
            case "endpoint_removed":
                short.append((which, content_.endpoint_id))
            case "tracks_added":
                short.append((which, content_.endpoint_id, sorted(content_.track_id_to_track)))
            case "tracks_removed":
                short.append((which, content_.endpoint_id, list(content_.track_ids)))
            case "track_updated":
                short.append((which, content_.track_id, content_.metadata_json))
            case "offer_data":
                short.append((which, content_.tracks_types.audio, content_.tracks_types.video))
            case "sdp_answer":
                short.append((which, dict(content_.mid_to_track_id)))
            case "vad_notification":
                short.append((which, content_.track_id, int(content_.status)))
            case _:
                raise AssertionError(which)
    return short


def section(mid: str, direction: str = "recvonly", kind: str = "audio") -> Section:
    return Section(mid, kind, direction, ("opus",))


def joined(room: RoomView | None = None) -> Negotiation:
    negotiation = Negotiation()
    negotiation.connected("me", "{}", room or {})
    return negotiation


def test_who_joins_is_told_who_is_here_and_then_what_they_publish() -> None:
    negotiation = Negotiation()
    events = negotiation.connected("me", "{}", view(bot={"voice": audio()}, ann={}))
    assert told(events) == [
        ("connected", ["ann", "bot", "me"]),
        ("tracks_added", "bot", ["voice"]),
        ("offer_data", 1, 0),
    ]


def test_who_joins_an_empty_room_is_asked_for_nothing() -> None:
    assert told(Negotiation().connected("me", "{}", {})) == [("connected", ["me"])]


def test_a_microphone_and_a_voice_share_a_round() -> None:
    negotiation = joined(view(bot={"voice": audio()}))
    offered = negotiation.offered([section("0"), section("1", "sendonly")], {"1": "me:mic"}, {"me:mic": MIC})
    assert offered.outgoing == {"0": "voice"}
    assert [(mid, track.id, track.metadata) for mid, track in offered.added.items()] == [("1", "me:mic", MIC)]
    events = negotiation.answered("sdp", view(bot={"voice": audio()}))
    assert told(events) == [("sdp_answer", {"0": "voice", "1": "me:mic"})]


def test_a_request_in_a_round_begins_the_next_one_after_the_answer() -> None:
    room = view(bot={"voice": audio()})
    negotiation = joined(room)
    assert negotiation.renegotiate() == []
    assert negotiation.renegotiate() == []
    negotiation.offered([section("0")], {}, {})
    assert told(negotiation.answered("sdp", room)) == [("sdp_answer", {"0": "voice"}), ("offer_data", 1, 0)]
    negotiation.offered([section("0")], {}, {})
    assert told(negotiation.answered("sdp", room)) == [("sdp_answer", {"0": "voice"})]


def test_a_track_that_comes_in_a_round_is_announced_after_the_answer() -> None:
    negotiation = joined()
    assert told(negotiation.renegotiate()) == [("offer_data", 0, 0)]
    assert told(negotiation.update(view(bot={"voice": audio()}))) == [("endpoint_added", "bot", "{}")]
    negotiation.offered([section("0", "sendonly")], {"0": "mic"}, {})
    assert told(negotiation.answered("sdp", view(bot={"voice": audio()}))) == [
        ("sdp_answer", {"0": "mic"}),
        ("tracks_added", "bot", ["voice"]),
        ("offer_data", 1, 0),
    ]


def test_one_round_answers_new_tracks_and_a_request() -> None:
    negotiation = joined()
    negotiation.renegotiate()
    negotiation.renegotiate()
    negotiation.offered([section("0", "sendonly")], {"0": "mic"}, {})
    events = negotiation.answered("sdp", view(bot={"voice": audio()}))
    assert [name for name, *_ in told(events)] == [
        "sdp_answer",
        "endpoint_added",
        "tracks_added",
        "offer_data",
    ]


def test_the_section_of_a_track_that_is_gone_is_counted_and_never_used_again() -> None:
    room = view(bot={"one": audio()})
    negotiation = joined(room)
    negotiation.offered([section("0")], {}, {})
    negotiation.answered("sdp", room)
    assert told(negotiation.update(view(bot={}))) == [("tracks_removed", "bot", ["one"])]
    room = view(bot={"two": audio()})
    assert told(negotiation.update(room)) == [("tracks_added", "bot", ["two"]), ("offer_data", 2, 0)]
    offered = negotiation.offered([section("0"), section("1")], {}, {})
    assert offered.outgoing == {"1": "two"}
    assert told(negotiation.answered("sdp", room)) == [("sdp_answer", {"1": "two"})]


def test_the_counts_never_fall_when_a_track_goes_before_its_offer() -> None:
    room = view(bot={"one": audio(), "two": audio()})
    negotiation = joined(room)
    negotiation.update(view(bot={"two": audio()}))
    offered = negotiation.offered([section("0"), section("1")], {}, {})
    assert offered.outgoing == {"0": "two"}
    negotiation.answered("sdp", view(bot={"two": audio()}))
    # The section that was left over takes the next track.
    assert told(negotiation.update(view(bot={"two": audio(), "three": audio()})))[-1] == ("offer_data", 2, 0)
    assert negotiation.offered([section("0"), section("1")], {}, {}).outgoing == {"0": "two", "1": "three"}


def test_pictures_and_sounds_are_counted_apart() -> None:
    room = view(ann={"mic": audio(), "cam": video()})
    events = Negotiation().connected("me", "{}", room)
    assert told(events)[-1] == ("offer_data", 1, 1)
    negotiation = joined(room)
    offered = negotiation.offered([section("0", kind="video"), section("1")], {}, {})
    assert offered.outgoing == {"0": "cam", "1": "mic"}


def test_a_client_that_offers_too_few_sections_is_not_asked_for_ever() -> None:
    room = view(bot={"voice": audio()})
    negotiation = joined(room)
    offered = negotiation.offered([section("0", "sendonly")], {"0": "mic"}, {})
    assert offered.outgoing == {}
    assert told(negotiation.answered("sdp", room)) == [("sdp_answer", {"0": "mic"})]
    assert told(negotiation.renegotiate()) == [("offer_data", 1, 0)]


def test_an_endpoint_takes_its_tracks_with_it() -> None:
    room = view(bot={"voice": audio()})
    negotiation = joined(room)
    negotiation.offered([section("0")], {}, {})
    negotiation.answered("sdp", room)
    assert told(negotiation.update({})) == [("endpoint_removed", "bot")]
    # Who comes back under the same id is new.
    assert told(negotiation.update(room)) == [
        ("endpoint_added", "bot", "{}"),
        ("tracks_added", "bot", ["voice"]),
        ("offer_data", 2, 0),
    ]


def test_metadata_and_voice_activity_are_told_on_change_alone() -> None:
    room = view(ann={"mic": audio(speaking=False)})
    negotiation = joined(room)
    negotiation.offered([section("0")], {}, {})
    negotiation.answered("sdp", room)
    assert negotiation.update(room) == []
    paused = view(ann={"mic": audio('{"paused":true}', speaking=False)})
    assert told(negotiation.update(paused)) == [("track_updated", "mic", '{"paused":true}')]
    speaking = view(ann={"mic": audio('{"paused":true}', speaking=True)})
    assert told(negotiation.update(speaking)) == [("vad_notification", "mic", 2)]
    assert told(negotiation.update(paused)) == [("vad_notification", "mic", 1)]
    renamed = {"ann": EndpointView('{"peer":1}', paused["ann"].tracks)}
    assert told(negotiation.update(renamed)) == [("endpoint_updated", "ann", '{"peer":1}')]


def test_who_speaks_already_is_told_with_the_track() -> None:
    events = Negotiation().connected("me", "{}", view(ann={"mic": audio(speaking=True)}))
    assert told(events)[1:] == [
        ("tracks_added", "ann", ["mic"]),
        ("vad_notification", "mic", 2),
        ("offer_data", 1, 0),
    ]


def test_a_track_the_browser_removes_has_an_inactive_section() -> None:
    negotiation = joined()
    negotiation.renegotiate()
    negotiation.offered([section("0", "sendonly")], {"0": "mic"}, {"mic": MIC})
    negotiation.answered("sdp", {})
    negotiation.renegotiate()
    offered = negotiation.offered([section("0", "inactive"), section("1", "sendonly")], {"1": "mic2"}, {})
    assert (offered.removed, [track.id for track in offered.added.values()]) == (("mic",), ["mic2"])
    assert told(negotiation.answered("sdp", {})) == [("sdp_answer", {"1": "mic2"})]


def test_metadata_of_a_published_track_is_changed_by_its_own_event_only() -> None:
    negotiation = joined()
    negotiation.offered([section("0", "sendonly")], {"0": "mic"}, {"mic": MIC})
    negotiation.answered("sdp", {})
    offered = negotiation.offered([section("0", "sendonly")], {"0": "mic"}, {"mic": "{}"})
    assert not offered.added
    assert not offered.removed
    assert negotiation.local_metadata("mic", "{}")
    assert not negotiation.local_metadata("mic", "{}")
    assert not negotiation.local_metadata("other", "{}")


@pytest.mark.parametrize(
    ("sections", "mids", "message"),
    [
        ([section("0", "sendonly")], {}, "missing in mid_to_track_id"),
        ([section("0", "sendonly")], {"0": ""}, "missing in mid_to_track_id"),
        ([section("0", "sendonly"), section("1", "sendonly")], {"0": "a", "1": "a"}, "same track"),
        (
            [section(str(n), "sendonly") for n in range(MAX_TRACKS + 1)],
            {str(n): f"t{n}" for n in range(MAX_TRACKS + 1)},
            "more than",
        ),
    ],
)
def test_offers_that_cannot_be_answered_change_nothing(
    sections: list[Section], mids: dict[str, str], message: str
) -> None:
    negotiation = joined()
    with pytest.raises(OfferError, match=message):
        negotiation.offered(sections, mids, {})
    assert not negotiation.local_tracks


def test_mids_of_sections_the_browser_only_receives_on_name_no_track_of_its_own() -> None:
    room = view(bot={"voice": audio()})
    negotiation = joined(room)
    offered = negotiation.offered([section("0")], {"0": "mine?", "9": "nowhere"}, {})
    assert (dict(offered.added), offered.outgoing) == ({}, {"0": "voice"})


def test_peers_without_metadata_have_both_parts_of_it() -> None:
    assert endpoint_metadata(None) == '{"peer": {}, "server": {}}'
