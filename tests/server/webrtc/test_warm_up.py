"""The import that the first browser of a process would wait for."""

import subprocess
import sys

PROGRAM = """
import asyncio, sys
import httpx
from fishjam_agents.server import EmbeddedServer

async def main():
    async with EmbeddedServer() as server, httpx.AsyncClient() as client:
        assert "aiortc" not in sys.modules
        await client.get(server.url + "/playground/none.js")
        await asyncio.sleep(0)
        assert not any("import of WebRTC" in task.get_name() for task in asyncio.all_tasks())
        assert (await client.get(server.url + "/")).status_code == 200
        async with asyncio.timeout(30):
            while "fishjam_agents.server.webrtc.peer" not in sys.modules:
                await asyncio.sleep(0.05)
    print("imported")

asyncio.run(main())
"""


def test_who_opens_the_page_has_webrtc_imported_before_they_join() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=50)
    assert result.stdout == "imported\n", result.stderr
