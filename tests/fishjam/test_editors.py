"""Editors show signature and documentation of the clients' methods: asked are Jedi, Pyright and `help()`."""

from __future__ import annotations

import importlib.util
import json
import pydoc
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents.fishjam import AsyncFishjamClient, FishjamClient, generate_clients

ROOT = Path(__file__).parents[2]

METHODS = {
    "create_room": ("options: RoomOptions | None = None", "Room", "Make a room."),
    "create_agent": (
        "room_id: str, options: AgentOptions | None = None",
        "Agent",
        "hears once `Agent.connect`",
    ),
    "get_all_recordings": ("status: RecordingStatus | str | None = None", "list[Recording]", "nested ones"),
    "create_moq_access": ("ttl: int | None = None", "MoqAccess", "an hour if left out"),
    "livestream_whip_url": ("", "str", "publish a livestream"),
}
"""Methods, with something of their parameters, result and docstring."""

CLIENTS = ("FishjamClient", "AsyncFishjamClient")


def program(client: str, method: str) -> str:
    return (
        f"from fishjam_agents.fishjam import {client}\nclient = {client}('id', 'token')\nclient.{method}(\n"
    )


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("client", CLIENTS)
def test_jedi_shows_a_method(client: str, method: str) -> None:
    jedi = pytest.importorskip("jedi", reason="needs jedi, of the dev group")
    script = jedi.Script(
        program(client, method), environment=jedi.InterpreterEnvironment(), project=jedi.Project(ROOT)
    )
    [signature] = script.get_signatures(3, len(f"client.{method}("))
    parameters, _, document = METHODS[method]
    text = ", ".join(parameter.to_string() for parameter in signature.params)
    assert parameters in text.replace("=", " = ").replace("  ", " ")
    assert document in signature.docstring()


class LanguageServer:
    """Pyright as an editor runs it: JSON-RPC over its standard streams (Language Server Protocol 3.17)."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._id = 0

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, params: dict[str, Any]) -> Any:
        self._id += 1
        self._send({"id": self._id, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._id and "method" not in message:
                assert "error" not in message, message
                return message["result"]
            if "id" in message:
                self._send({"id": message["id"], "result": None})

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server has ended"
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


@pytest.fixture(scope="module")
def pyright() -> Iterator[LanguageServer]:
    if importlib.util.find_spec("basedpyright") is None:
        pytest.skip("needs basedpyright, of the dev group")
    command = [sys.executable, "-c", "from basedpyright.langserver import main; main()", "--stdio"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        server = LanguageServer(process)
        hover = {"hover": {"contentFormat": ["plaintext"]}}
        server.request(
            "initialize",
            {"processId": None, "rootUri": None, "capabilities": {"textDocument": hover}},
        )
        server.notify("initialized", {})
        yield server
        server.request("shutdown", {})
        server.notify("exit", {})


@pytest.mark.parametrize("client", CLIENTS)
def test_pyright_shows_a_method(client: str, method: str, pyright: LanguageServer) -> None:
    uri = (ROOT / f"{client}_{method}.py").as_uri()
    document = {"uri": uri, "languageId": "python", "version": 1, "text": program(client, method)}
    pyright.notify("textDocument/didOpen", {"textDocument": document})
    position = {"textDocument": {"uri": uri}, "position": {"line": 2, "character": len("client.c")}}
    shown = " ".join(str(pyright.request("textDocument/hover", position)["contents"]["value"]).split())
    parameters, result, text = METHODS[method]
    assert parameters in shown
    assert f"-> {result}" in shown or f"CoroutineType[Any, Any, {result}]" in shown
    assert text in shown


@pytest.mark.parametrize("client", [FishjamClient, AsyncFishjamClient])
def test_help_shows_every_method(client: type) -> None:
    # Long signatures stand on several lines from Python 3.13 on.
    text = " ".join(pydoc.render_doc(client, renderer=pydoc.plaintext).replace("|", " ").split())
    for name, (_, _, document) in METHODS.items():
        assert re.search(rf"\b{name}\( ?self\b", text), name
        assert document in text


def test_the_methods_are_those_of_the_endpoints() -> None:
    folder = Path(generate_clients.__file__).parent
    for name, text in (
        ("blocking_endpoints.py", generate_clients.blocking()),
        ("async_endpoints.py", generate_clients.asynchronous()),
    ):
        assert (folder / name).read_text() == text, f"{name} is older than the endpoints: run `make clients`"
