from __future__ import annotations

import pytest

from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam.addressing import (
    AGENT_SOCKET,
    SERVER_SOCKET,
    agent_base_url,
    base_url,
    origin,
    socket_url,
)
from fishjam_agents.fishjam.errors import MissingFishjamIdError
from fishjam_agents.loopback import is_loopback_url


@pytest.mark.parametrize(
    ("fishjam_id", "url"),
    [
        ("0123abcd", "https://fishjam.io/api/v1/connect/0123abcd"),
        (" my-app_1 ", "https://fishjam.io/api/v1/connect/my-app_1"),
        ("http://localhost:5002", "http://localhost:5002"),
        ("http://localhost:5002/", "http://localhost:5002"),
        ("https://example.com/api/v1/connect/x/", "https://example.com/api/v1/connect/x"),
        ("http://[::1]:5002", "http://[::1]:5002"),
    ],
)
def test_an_id_or_a_url_leads_to_the_server(fishjam_id: str, url: str) -> None:
    assert base_url(fishjam_id) == url


@pytest.mark.parametrize(
    "fishjam_id", ["localhost:5002", "localhost", "127.0.0.1:5002", "fishjam.example.com/x"]
)
def test_a_host_without_a_scheme_is_told_to_write_http(fishjam_id: str) -> None:
    with pytest.raises(ConfigError, match=f"write http://{fishjam_id}"):
        base_url(fishjam_id)


@pytest.mark.parametrize(
    ("fishjam_id", "advice"),
    [
        ("ws://localhost:5002", "write http://localhost:5002"),
        ("wss://example.com", "write https://example.com"),
        ("ftp://example.com", "write http:// or https://"),
        ("http://", "names no host"),
        ("http://localhost:99999", "wrong port"),
        ("http://localhost:port", "wrong port"),
    ],
)
def test_another_address_is_told_what_is_wrong(fishjam_id: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=advice):
        base_url(fishjam_id)


@pytest.mark.parametrize("fishjam_id", ["", "  "])
def test_an_empty_id_is_missing(fishjam_id: str) -> None:
    with pytest.raises(MissingFishjamIdError):
        base_url(fishjam_id)


def test_only_the_scheme_of_a_socket_url_changes() -> None:
    assert (
        socket_url("http://http.example.com/http", AGENT_SOCKET)
        == "ws://http.example.com/http" + AGENT_SOCKET
    )
    assert socket_url("https://example.com/", SERVER_SOCKET) == "wss://example.com" + SERVER_SOCKET


@pytest.mark.parametrize(
    ("named", "url"),
    [
        (None, "http://localhost:5002"),
        ("", "http://localhost:5002"),
        ("ws://localhost:5002/socket/peer/websocket", "http://localhost:5002"),
        ("wss://node.example.com/a/socket/peer/websocket", "https://node.example.com/a"),
        ("http://h/a/socket/peer/websocket", "http://h/a"),
        ("http://h/a/socket/agent/websocket", "http://h/a"),
        ("localhost:5002/socket/peer/websocket", "http://localhost:5002"),
    ],
)
def test_an_agent_connects_to_the_node_the_server_names(named: str | None, url: str) -> None:
    assert agent_base_url("http://localhost:5002", named) == url


def test_a_node_without_a_scheme_takes_that_of_the_cloud() -> None:
    named = "node.fishjam.io/api/v1/connect/x/socket/peer/websocket"
    cloud = base_url("x")
    assert agent_base_url(cloud, named) == "https://node.fishjam.io/api/v1/connect/x"


def test_this_machine_is_known_by_name_and_by_number() -> None:
    assert all(map(is_loopback_url, ["http://localhost:1", "ws://127.0.0.2", "http://[::1]:5"]))
    assert not any(
        map(is_loopback_url, ["http://example.com", "https://10.0.0.1", "http://localhost.example.com"])
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://fishjam.io/api/v1/connect/x", "https://fishjam.io"),
        ("http://[::1]:5002/path", "http://[::1]:5002"),
    ],
)
def test_livestreams_live_at_the_origin(url: str, expected: str) -> None:
    assert origin(url) == expected
