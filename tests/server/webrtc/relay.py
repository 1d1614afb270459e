"""A bad network: a UDP relay between a browser and the server that loses and delays media."""

from __future__ import annotations

import asyncio
import random
import re

_CANDIDATE = re.compile(r"(a=candidate:\S+ \d+ udp \d+ )(\S+) (\d+)( typ host)")


class Relay:
    """Passes datagrams on in both directions.

    Attributes:
        loss: Share of the media packets that never arrive.
        jitter: Largest delay of a media packet, in seconds; the order stays.
        dead: Whether nothing arrives any more.
        lost: Media packets lost so far.
    """

    def __init__(self, seed: int = 0) -> None:
        self.loss = 0.0
        self.jitter = 0.0
        self.dead = False
        self.lost = 0
        self._random = random.Random(seed)
        self._server: tuple[str, int] | None = None
        self._browser: tuple[str, int] | None = None
        self._outer: asyncio.DatagramTransport | None = None
        self._inner: asyncio.DatagramTransport | None = None
        self._last = 0.0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._outer, _ = await loop.create_datagram_endpoint(
            lambda: _End(self._from_browser), local_addr=("127.0.0.1", 0)
        )
        self._inner, _ = await loop.create_datagram_endpoint(
            lambda: _End(self._from_server), local_addr=("127.0.0.1", 0)
        )

    def close(self) -> None:
        for transport in (self._outer, self._inner):
            if transport is not None:
                transport.close()

    def rewrite(self, answer: str) -> str:
        """Let a browser find the relay where the server said it was."""
        assert self._outer is not None
        port = self._outer.get_extra_info("sockname")[1]

        def here(match: re.Match[str]) -> str:
            self._server = (match[2], int(match[3]))
            return f"{match[1]}127.0.0.1 {port}{match[4]}"

        return _CANDIDATE.sub(here, answer)

    def _from_browser(self, data: bytes, address: tuple[str, int]) -> None:
        self._browser = address
        if self._server is not None and self._inner is not None:
            self._pass_on(self._inner, data, self._server)

    def _from_server(self, data: bytes, address: tuple[str, int]) -> None:
        if self._browser is not None and self._outer is not None:
            self._pass_on(self._outer, data, self._browser)

    def _pass_on(self, transport: asyncio.DatagramTransport, data: bytes, to: tuple[str, int]) -> None:
        if self.dead:
            return
        if not 128 <= data[0] <= 191:
            # Neither the connectivity checks nor the handshake are what is tested.
            transport.sendto(data, to)
            return
        if self._random.random() < self.loss:
            self.lost += 1
            return
        loop = asyncio.get_running_loop()
        self._last = max(loop.time() + self._random.uniform(0.0, self.jitter), self._last)
        if self.jitter:
            loop.call_at(self._last, transport.sendto, data, to)
        else:
            transport.sendto(data, to)


class _End(asyncio.DatagramProtocol):
    def __init__(self, received: object) -> None:
        self._received = received

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._received(data, address)  # type: ignore[operator]
