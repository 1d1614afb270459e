"""llama.cpp in memory, by xllamacpp: a request of OpenAI's form in, pieces of the answer out."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from fishjam_agents.errors import ConfigError
from fishjam_agents_local.llama_cpp.gguf import SETTING, LlamaFile
from fishjam_agents_local.memory import require_memory

ENGINE = "xllamacpp>=2026.10"
_BATCH = 64
"""Tokens of a prompt that are read at once: nothing stops llama.cpp in the middle of them."""
_BESIDE = 100e6
"""Bytes that the smallest model takes beside its weights, with what it remembers of two conversations."""
_RESERVED = 400e6
"""Addresses for the stacks and heaps of its threads: it ends the program where one cannot be started."""
_FIRST = {"messages": [{"role": "user", "content": "Hello."}], "max_tokens": 1}


class LlamaServer:
    """A model that is loaded, for one request at a time.

    llama.cpp serves HTTP whether that is wanted or not; nobody is told the key that it asks for.

    Args:
        file: The model.
        context: Tokens of one conversation.
        conversations: How many of them it remembers as it has read them.
        threads: Threads that work at it.

    Raises:
        ConfigError: It cannot be loaded.
        ImportError: The engine is not installed.
    """

    def __init__(self, file: LlamaFile, context: int, conversations: int, threads: int) -> None:
        import xllamacpp

        path = file.model.path
        require_memory(str(path), path.stat().st_size + _BESIDE, setting=SETTING, reserved=_RESERVED)
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = context * conversations
        params.n_parallel = conversations
        params.n_batch = params.n_ubatch = _BATCH
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.verbosity = -1
        params.ui = False
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.api_keys = [secrets.token_urlsafe()]
        try:
            self._server: Any = xllamacpp.Server(params)
            # The first request allocates, and shows whether the answer is one.
            answer = self._server.handle_chat_completions(_FIRST)
        except Exception as error:
            # xllamacpp has one class for all failures, and says no more than that it failed.
            raise ConfigError(
                f"{path} cannot be loaded, it is damaged, larger than the memory, or of an architecture that "
                f"this llama.cpp does not know ({file.architecture}): get it again, or use another model",
                setting=SETTING,
            ) from error
        if not isinstance(answer, Mapping) or "choices" not in answer:
            raise ConfigError(f"{path} answers nothing: use another model", setting=SETTING)

    def answer(self, request: Mapping[str, Any], take: Callable[[Mapping[str, Any]], bool]) -> None:
        """Answer a request; it blocks until all is said.

        Args:
            request: Fields of OpenAI's chat completions.
            take: Takes each piece, in this thread; if it returns True, nothing more comes.
        """
        self._server.handle_chat_completions({**request, "stream": True}, take)
