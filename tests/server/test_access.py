"""Pages of other origins, and names that do not belong to the server: nothing is served to them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from fishjam_agents.errors import ConfigError
from fishjam_agents.loopback import is_loopback_url
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.access import HEADERS, AccessPolicy
from fishjam_agents.server.address import machine_names

from .conftest import Client, Serve

DEV = "http://localhost:5173"


def refused(policy: AccessPolicy, host: str | None, page: bool = False, **headers: str) -> str | None:
    given = Headers(
        {name.replace("_", "-"): value for name, value in headers.items()} | ({"host": host} if host else {})
    )
    return policy.refusal(given.getlist, page=page)


HOSTS = [
    # The server's host, the Host header, whether it is served.
    ("127.0.0.1", "127.0.0.1:5002", True),
    ("127.0.0.1", "localhost:5002", True),
    ("127.0.0.1", "LOCALHOST", True),
    ("127.0.0.1", "[::1]:5002", True),
    ("127.0.0.1", "localhost:8080", True),
    ("127.0.0.1", "evil.example:5002", False),
    ("127.0.0.1", "localhost.evil.example:5002", False),
    ("127.0.0.1", "127.0.0.1.nip.example", False),
    ("127.0.0.1", "192.168.1.5:5002", False),
    ("127.0.0.1", "0.0.0.0:5002", False),
    ("127.0.0.1", "localhost:5002, evil.example", False),
    ("127.0.0.1", "user@localhost:5002", False),
    ("127.0.0.1", "localhost/../x", False),
    ("127.0.0.1", "", False),
    ("127.0.0.1", "bot.example", True),
    ("127.0.0.1", "BOT.example:444", True),
    ("127.0.0.1", "other.example:8443", True),
    ("127.0.0.1", "other.example", False),
    ("0.0.0.0", "192.168.1.5:5002", True),
    ("0.0.0.0", "[fe80::1]:5002", True),
    ("0.0.0.0", "localhost:5002", True),
    ("0.0.0.0", machine_names()[0], True),
    ("0.0.0.0", "evil.example:5002", False),
    # To a browser this machine, and no origin that it trusts: it would not say whose page asks.
    ("0.0.0.0", "0.0.0.0:5002", False),
    ("::", "[::]:5002", False),
    ("laptop.example", "laptop.example:5002", True),
    ("laptop.example", "example:5002", False),
]


@pytest.mark.parametrize(("listening", "host", "served"), HOSTS)
def test_only_the_servers_own_names_are_served(listening: str, host: str, served: bool) -> None:
    policy = AccessPolicy(listening, allowed_hosts=["bot.example", "other.example:8443"])
    told = refused(policy, host)
    assert (told is None) == served
    if told is not None:
        assert told.endswith(
            "is not a name of this server: use its address, or list the name in allowed_hosts"
        )


def test_a_request_without_a_host_or_with_two_is_refused() -> None:
    policy = AccessPolicy("127.0.0.1")
    assert (refused(policy, None) or "").startswith("No host is not a name")
    assert policy.refusal(lambda name: ["localhost", "localhost"] if name == "host" else []) is not None


ORIGINS = [
    ("http://127.0.0.1:5002", True),
    # The other names of the same port of this machine.
    ("http://localhost:5002", True),
    ("https://[::1]:5002", True),
    (DEV, True),
    ("https://app.example", True),
    ("https://app.example:443", True),
    ("http://app.example", False),
    ("https://app.example:444", False),
    ("https://sub.app.example", False),
    ("http://localhost:5174", False),
    ("http://localhost", False),
    ("http://evil.example", False),
    ("http://evil.example:5002", False),
    ("null", False),
    ("", False),
    ("file://", False),
    ("chrome-extension://abcdef", False),
    ("http://127.0.0.1:5002.evil.example", False),
    ("http://127.0.0.1:5002/", False),
    ("http://127.0.0.1:5002@evil.example", False),
    ("http://127.0.0.1:5002 http://evil.example", False),
]


@pytest.mark.parametrize(("origin", "served"), ORIGINS)
def test_only_the_servers_own_pages_and_those_that_are_allowed_are_served(origin: str, served: bool) -> None:
    policy = AccessPolicy("127.0.0.1", allowed_origins=[DEV, "https://app.example"])
    policy.port = 5002
    assert (refused(policy, "127.0.0.1:5002", origin=origin) is None) == served


def test_the_origin_is_its_own_where_it_is_what_the_host_says() -> None:
    policy = AccessPolicy("0.0.0.0", allowed_hosts=["bot.example"])
    policy.port = 5002
    for host, origin, served in (
        ("192.168.1.5:5002", "https://192.168.1.5:5002", True),
        # Behind a proxy or a forwarded port.
        ("bot.example", "https://bot.example", True),
        ("localhost:8080", "http://localhost:8080", True),
        ("bot.example", "https://bot.example:8443", False),
        ("192.168.1.5:5002", "http://192.168.1.6:5002", False),
    ):
        assert (refused(policy, host, origin=origin) is None) == served, (host, origin)


def test_what_a_page_embeds_or_follows_says_where_it_comes_from() -> None:
    policy = AccessPolicy("127.0.0.1")
    image = {"sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}
    link = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    frame = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}
    for page, site, headers, served in (
        (False, "cross-site", image, False),
        (False, "same-site", image, False),
        (False, "same-origin", image, True),
        (False, "none", link, True),
        # A link to the page may stand anywhere; to anything else it would act for whoever set it.
        (True, "cross-site", link, True),
        (False, "cross-site", link, False),
        (True, "cross-site", frame, False),
        (True, "cross-site", image, False),
    ):
        told = refused(policy, "localhost", page, sec_fetch_site=site, **headers)
        assert (told is None) == served, (page, site, headers)


@pytest.mark.parametrize(
    "origin", ["*", "null", "localhost:5173", "http://localhost:5173/", "ftp://x", "http://", ""]
)
def test_an_origin_that_is_none_is_told_before_anything_starts(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"allowed_origins must be origins like http://localhost:5173"):
        EmbeddedServer(allowed_origins=[origin])


@pytest.mark.parametrize("host", ["*", "", "http://bot.example", "bot.example/x", "bot..example", "a:99999"])
def test_a_host_that_is_none_is_told_before_anything_starts(host: str) -> None:
    with pytest.raises(ConfigError, match=r"allowed_hosts must be names like bot\.example"):
        EmbeddedServer(allowed_hosts=[host])


def test_a_browser_is_sent_to_https_where_the_server_speaks_it() -> None:
    policy = AccessPolicy("0.0.0.0", allowed_hosts=["bot.example"])

    def better(host: str, scheme: str = "http") -> str | None:
        return policy.better_page(scheme, lambda name: [host])

    assert better("192.168.1.5:5002") is None
    policy.https = True
    assert better("192.168.1.5:5002") == "https://192.168.1.5:5002/"
    assert better("192.168.1.5:5002", "https") is None
    assert better(machine_names()[0]) == f"https://{machine_names()[0]}/"
    # This machine's own page gets its microphone, and a proxy speaks HTTPS itself.
    for host in ("localhost:5002", "127.0.0.1:5002", "bot.example"):
        assert better(host) is None


HEADER = st.one_of(
    st.text(),
    st.text(st.sampled_from("localhost127.0.0.1[]:/@#?%\\ evil.example")),
    st.builds("{}{}{}".format, st.text(max_size=5), st.sampled_from(["localhost", "127.0.0.1"]), st.text()),
)


@given(HEADER, HEADER)
def test_whatever_stands_in_the_headers_is_judged(host: str, origin: str) -> None:
    policy = AccessPolicy("127.0.0.1", allowed_origins=[DEV])
    told = policy.refusal(lambda name: {"host": [host], "origin": [origin]}.get(name, []))
    if told is None:
        # What a browser takes for this machine, and for a page of it.
        assert is_loopback_url(f"http://{host}")
        assert is_loopback_url(origin)
        assert urlsplit(origin).scheme in ("http", "https")
    else:
        assert len(told) < 300


def test_every_route_and_every_socket_refuses_a_page_of_another_origin(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        evil = {"origin": "http://evil.example"}
        rebound = {"host": f"evil.example:{client.server.port}"}
        for headers in (evil, rebound, {"sec-fetch-site": "cross-site"}):
            for method, path in (
                ("GET", "/"),
                ("GET", "/validate"),
                ("GET", "/room"),
                ("POST", "/room"),
                ("OPTIONS", "/room"),
                ("GET", "/nowhere"),
                ("GET", "/playground/page.js"),
                ("GET", "/api/v1/connect/x/room"),
                ("POST", "/api/v1/live/api/whip"),
                ("GET", "/recordings/nothing/files/guess.wav"),
            ):
                answer = await client.http.request(method, path, headers=headers)
                assert answer.status_code == 403, (headers, path)
                assert list(answer.json()) == ["errors"]
                assert "access-control-allow-origin" not in answer.headers
        assert (await client.http.get("/room")).json() == {"data": []}
        port = client.server.port
        for host, origin in (
            ("localhost", evil["origin"]),
            ("evil.example", None),
            ("evil.example", evil["origin"]),
        ):
            for path in (
                "/socket/agent/websocket",
                "/socket/peer/websocket",
                "/socket/server/websocket",
                "/any",
            ):
                with pytest.raises(websockets.InvalidStatus) as caught:
                    async with websockets.connect(
                        f"ws://{host}:{port}{path}",
                        host="127.0.0.1",
                        origin=origin,  # type: ignore[arg-type]
                    ):
                        raise AssertionError("it is open")
                assert caught.value.response.status_code == 403

    serve(scenario)


def test_an_allowed_page_is_told_that_it_may_read_the_answers(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        ask = {
            "origin": DEV,
            "access-control-request-method": "DELETE",
            "access-control-request-headers": "authorization,content-type",
            "access-control-request-private-network": "true",
        }
        answer = await client.http.options("/room/any", headers=ask)
        assert answer.status_code == 204
        told = answer.headers
        assert told["access-control-allow-origin"] == DEV
        assert "DELETE" in told["access-control-allow-methods"]
        assert told["access-control-allow-headers"] == "authorization,content-type"
        assert told["access-control-allow-private-network"] == "true"
        assert told["vary"] == "Origin"
        for path, status in (("/room", 200), ("/nowhere", 404)):
            answer = await client.http.get(path, headers={"origin": DEV})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == DEV
            assert {"Location", "Link", "ETag"} <= set(
                answer.headers["access-control-expose-headers"].split(", ")
            )
        async with websockets.connect(
            client.server.url.replace("http", "ws") + "/socket/peer/websocket",
            origin=DEV,  # type: ignore[arg-type]
        ):
            pass

    serve(scenario, allowed_origins=[DEV])


def test_every_answer_keeps_other_pages_from_embedding_it(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        for path, headers in (("/room", {}), ("/nowhere", {}), ("/room", {"origin": "http://evil.example"})):
            answer = await client.http.get(path, headers=headers)
            for name, value in HEADERS:
                assert answer.headers[name] == value
            assert answer.headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in answer.headers

    serve(scenario)
