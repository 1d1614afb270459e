"""The Redis of tests: it is the one that was started, on a port that nobody else has."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishjam_agents.testing.redis_server import RedisServer

pytestmark = pytest.mark.skipif(not RedisServer.is_installed(), reason="needs redis-server")


def test_another_redis_on_its_port_is_not_taken_for_it(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as first, RedisServer(tmp_path) as second:
        second.kill()
        second._port = first._port
        with pytest.raises(ChildProcessError, match="redis-server does not start"):
            second.start()


def test_it_starts_again_on_its_port(tmp_path: Path) -> None:
    with RedisServer(tmp_path, keeps=True) as server:
        url = server.url
        server.kill()
        server.start()
        assert server.url == url
