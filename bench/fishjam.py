"""The embedded Fishjam in a process of its own.

`python -m bench.fishjam '{"origin": "http://127.0.0.1:1234"}'` says its URL and token and then answers `cpu`
(with it how late the room clock was at most) and `holds` (how many tasks, threads and descriptors there are).
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import time

from bench.child import requests, say
from fishjam_agents.cli.loops import freeze_gc
from fishjam_agents.server import EmbeddedServer


async def main(origin: str) -> None:
    """Run until the parent hangs up."""
    async with EmbeddedServer(allowed_origins=[origin]) as server:
        freeze_gc()
        say(url=server.url, token=server.token)
        async for request in requests():
            match request["do"]:
                case "cpu":
                    begun = time.process_time()
                    server.clock.reset_lag()
                    await asyncio.sleep(request["seconds"])
                    say(seconds=time.process_time() - begun, lag=server.clock.worst_lag)
                case "holds":
                    gc.collect()
                    say(
                        tasks=len(asyncio.all_tasks()),
                        threads=threading.active_count(),
                        descriptors=len(os.listdir("/proc/self/fd")),
                    )


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
