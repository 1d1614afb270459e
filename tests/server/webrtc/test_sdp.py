"""Reading offers."""

from __future__ import annotations

import pytest

from fishjam_agents.server.webrtc.sdp import OfferError, Section, is_mdns, read_offer, without_mdns

CHROME = """v=0\r
o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0 1 2 3\r
a=fingerprint:sha-256 17:84\r
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9\r
c=IN IP4 0.0.0.0\r
a=mid:0\r
a=sendonly\r
a=rtpmap:111 opus/48000/2\r
a=rtpmap:63 red/48000/2\r
a=rtpmap:9 G722/8000\r
a=candidate:1 1 udp 2113937151 8f1b9a8e-0c0a-4b0e.local 54400 typ host\r
a=candidate:2 1 udp 2113937151 192.168.1.7 54401 typ host\r
m=video 9 UDP/TLS/RTP/SAVPF 96 97\r
a=mid:1\r
a=recvonly\r
a=rtpmap:96 VP8/90000\r
a=rtpmap:97 rtx/90000\r
m=audio 0 UDP/TLS/RTP/SAVPF 111\r
a=mid:2\r
a=rtpmap:111 opus/48000/2\r
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r
a=mid:3\r
a=sctp-port:5000\r
"""


def test_sections_are_read_with_their_directions_and_codecs() -> None:
    sections = read_offer(CHROME)
    assert sections == (
        Section("0", "audio", "sendonly", ("opus", "red", "g722")),
        Section("1", "video", "recvonly", ("vp8", "rtx")),
        Section("2", "audio", "inactive", ("opus",)),
        Section("3", "application", "sendrecv", ()),
    )
    assert [(section.sends, section.receives) for section in sections] == [
        (True, False),
        (False, True),
        (False, False),
        (False, False),
    ]


@pytest.mark.parametrize(
    ("sdp", "message"),
    [
        ("", "no SDP"),
        ("garbage\r\n", "no SDP"),
        ("v=0\r\n", "no media section"),
        ("v=0\r\nm=audio\r\n", "malformed"),
        ("v=0\r\nm=text 9 RTP 1\r\na=mid:0\r\n", "neither"),
        ("v=0\r\nm=audio 9 RTP 1\r\n", "no mid"),
        ("v=0\r\n" + "m=audio 9 RTP 1\r\na=mid:0\r\n" * 2, "same mid"),
        ("v=0\r\n" + "m=audio 9 RTP 1\r\n" * 257, "more than"),
    ],
)
def test_offers_that_are_none(sdp: str, message: str) -> None:
    with pytest.raises(OfferError, match=message):
        read_offer(sdp)


def test_names_of_mdns_are_left_out() -> None:
    shorter = without_mdns(CHROME)
    assert ".local" not in shorter
    assert "192.168.1.7" in shorter
    assert shorter.count("\r\n") == CHROME.count("\r\n") - 1
    assert is_mdns("candidate:1 1 udp 2113937151 8f1b.LOCAL 54400 typ host")
    assert not is_mdns("candidate:1 1 udp 2113937151 10.0.0.1 54400 typ host")
    assert not is_mdns("")
