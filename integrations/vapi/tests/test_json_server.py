"""The HTTP server of webhooks: what it does with requests when it stops."""

from __future__ import annotations

import asyncio

from fishjam_agents_vapi.json_server import Answer, JsonRequest, JsonServer


def test_a_request_that_is_being_answered_ends_with_the_server_and_without_a_traceback() -> None:
    mistakes: list[str] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: mistakes.append(str(context)))
        asked = asyncio.Event()

        async def answer(request: JsonRequest) -> Answer:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        async with JsonServer(answer, port=0) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await asked.wait()
        assert await reader.read() == b""
        writer.close()
        await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(scenario(), 10))
    assert not mistakes
