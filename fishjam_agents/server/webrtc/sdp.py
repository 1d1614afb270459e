"""Media sections of an SDP offer: what the negotiation has to know of it (RFC 8866, RFC 8829)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["audio", "video"]

_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_MEDIA_LINE = re.compile(r"m=(\S+) (\d+) (\S+) (.+)")
MAX_SECTIONS = 256
"""Media sections of one offer. Every track a browser ever heard keeps its section. Our choice."""


class OfferError(ValueError):
    """An offer that cannot be answered; the message is for the developer of the client."""


@dataclass(frozen=True, slots=True)
class Section:
    """One media section of an offer.

    Attributes:
        mid: Its identification.
        kind: `audio`, `video`, or `application` for data channels.
        direction: As the client sees it: it sends on `sendonly`, receives on `recvonly`.
        codecs: Names of its codecs in lower case, such as `opus`, in order of preference.
    """

    mid: str
    kind: str
    direction: str
    codecs: tuple[str, ...]

    @property
    def sends(self) -> bool:
        """True if the client sends media on it."""
        return self.kind != "application" and self.direction in ("sendonly", "sendrecv")

    @property
    def receives(self) -> bool:
        """True if the client takes media on it."""
        return self.kind != "application" and self.direction in ("recvonly", "sendrecv")


def read_offer(sdp: str) -> tuple[Section, ...]:
    """Media sections of an offer, in order.

    Raises:
        OfferError: It is no SDP, has no sections or too many, or one has no mid, or that of another.
    """
    if not sdp.startswith("v=0"):
        raise OfferError("the offer is no SDP")
    _, *parts = re.split(r"(?m)^(?=m=)", sdp)
    if not parts:
        raise OfferError("the offer has no media section")
    if len(parts) > MAX_SECTIONS:
        raise OfferError(f"the offer has more than {MAX_SECTIONS} media sections: connect anew")
    sections = tuple(_read_section(part.splitlines()) for part in parts)
    if len({section.mid for section in sections}) != len(sections):
        raise OfferError("two media sections of the offer have the same mid")
    return sections


def _read_section(lines: list[str]) -> Section:
    media = _MEDIA_LINE.fullmatch(lines[0].strip())
    if media is None:
        raise OfferError("a media line of the offer is malformed")
    kind = media[1]
    if kind not in ("audio", "video", "application"):
        raise OfferError("a media section of the offer is neither audio nor video nor data channels")
    mid, direction = "", "sendrecv"
    names: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.strip().removeprefix("a=").partition(":")
        if name == "mid":
            mid = value
        elif name in _DIRECTIONS:
            direction = name
        elif name == "rtpmap":
            payload_type, _, codec = value.partition(" ")
            names[payload_type] = codec.partition("/")[0].lower()
    if not mid:
        raise OfferError("a media section of the offer has no mid")
    codecs = tuple(names[payload_type] for payload_type in media[4].split() if payload_type in names)
    if media[2] == "0":
        direction = "inactive"
    return Section(mid, kind, direction, codecs)


def check_transport(sdp: str) -> None:
    """Check that an offer says how to connect to who made it (RFC 8839, section 5.4; RFC 8122, section 5).

    Raises:
        OfferError: It does not.
    """
    for name in ("ice-ufrag", "ice-pwd", "fingerprint"):
        if not re.search(rf"(?m)^a={name}:\S", sdp):
            raise OfferError(f"the offer has no {name}")


def without_mdns(sdp: str) -> str:
    """`sdp` without candidates that are names of mDNS (RFC 8839; `draft-ietf-mmusic-mdns-ice-candidates`)."""
    return "".join(
        line
        for line in sdp.splitlines(keepends=True)
        if not (line.startswith("a=candidate:") and is_mdns(line.removeprefix("a=")))
    )


def is_mdns(candidate: str) -> bool:
    """Return whether a candidate's address is a name of mDNS, which only its own network resolves."""
    parts = candidate.split()
    return len(parts) > 4 and parts[4].lower().endswith(".local")
