"""Host candidates by platform and by the address the server listens on."""

from __future__ import annotations

import pytest

from fishjam_agents.server.webrtc.addresses import host_addresses

NETWORKS = [
    "192.168.1.7",
    "127.0.0.1",
    "169.254.3.4",
    "2001:db8::7",
    "fe80::1",
    "not an address",
    "192.168.1.7",
]


@pytest.mark.parametrize(
    ("host", "platform", "addresses"),
    [
        ("127.0.0.1", "linux", ["127.0.0.1"]),
        ("localhost", "linux", ["127.0.0.1"]),
        ("127.0.0.1", "darwin", ["127.0.0.1", "192.168.1.7"]),
        ("localhost", "win32", ["127.0.0.1", "192.168.1.7"]),
        ("::1", "linux", ["::1", "127.0.0.1"]),
        ("::1", "darwin", ["::1", "127.0.0.1", "192.168.1.7", "2001:db8::7"]),
        ("0.0.0.0", "linux", ["192.168.1.7", "127.0.0.1"]),
        ("0.0.0.0", "win32", ["192.168.1.7", "127.0.0.1"]),
        ("::", "linux", ["192.168.1.7", "2001:db8::7", "::1", "127.0.0.1"]),
        ("192.168.1.7", "linux", ["192.168.1.7"]),
        ("192.168.1.7", "darwin", ["192.168.1.7"]),
        ("laptop", "linux", ["192.168.1.7", "2001:db8::7", "127.0.0.1"]),
    ],
)
def test_addresses_that_are_offered(host: str, platform: str, addresses: list[str]) -> None:
    assert host_addresses(host, platform, NETWORKS) == addresses


def test_a_machine_without_a_network_is_reached_by_its_loopback() -> None:
    for platform in ("linux", "darwin", "win32"):
        assert host_addresses("127.0.0.1", platform, []) == ["127.0.0.1"]
        assert host_addresses("0.0.0.0", platform, []) == ["127.0.0.1"]
