"""Agents that a crash left behind, found again by the next start.

Fishjam keeps an agent in its room after its socket closed, and an agent carries no metadata that says whose
it is. So each process notes the agents it makes in a file it holds locked; the lock ends with the process,
however it ends. A note without its lock belongs to nobody any more. Windows has no such locks: there
nothing is remembered.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import AsyncFishjamClient, NotFoundError

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)


def state_folder() -> Path:
    """Return the notes' folder: `$XDG_STATE_HOME/fishjam-agents` (XDG Base Directory Specification 0.8)."""
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path("~/.local/state").expanduser()
    return base / "fishjam-agents"


class Note:
    """A note that an agent, or a room made for one, exists; held until `forget` or the process ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def forget(self) -> None:
        """Forget what was noted: it is deleted."""
        self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the note; the next start finds it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class OrphanedAgents:
    """The notes of all bots of this user on this machine.

    Args:
        folder: Where they are; None is `state_folder()`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or state_folder()

    def note(self, url: str, room_id: str, peer_id: str | None, *, made_room: bool) -> Note | None:
        """Note an agent, or a room that has none yet.

        None where notes cannot be kept, which costs nothing but tidiness.

        Args:
            url: Base URL of its server.
            room_id: Its room.
            peer_id: The agent; None while there is none.
            made_room: Whether the room was made for it.
        """
        if sys.platform == "win32":
            return None
        path = self._folder / f"{os.getpid()}-{(peer_id or room_id)[:64].replace(os.sep, '_')}.json"
        content = {"fishjam": url, "room": room_id, "peer": peer_id, "made_room": made_room}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, json.dumps(content).encode())
        except OSError as error:
            logger.debug("agents are not remembered: %s", error)
            return None
        return Note(path, descriptor)

    async def remove(self, client: AsyncFishjamClient) -> Sequence[str]:
        """Delete the agents on the client's server whose process is gone, and their rooms if nobody is there.

        What cannot be deleted now is left for the next start.

        Returns:
            Rooms that were made for them and stay, because people are there.
        """
        occupied: dict[str, None] = {}
        if sys.platform == "win32" or not self._folder.is_dir():
            return ()
        for path in sorted(self._folder.glob("*.json")):
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                continue
            note = Note(path, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                content = _read(descriptor)
                if content is not None and content["fishjam"] == client.url:
                    if await _delete(client, content):
                        occupied[content["room"]] = None
                    note.forget()
            except OSError:
                # Its process lives.
                continue
            except FishjamAgentsError as error:
                logger.warning("an agent of an earlier run could not be deleted: %s", error)
            finally:
                note.close()
        return tuple(occupied)


def _read(descriptor: int) -> dict[str, Any] | None:
    try:
        content = json.loads(os.read(descriptor, 65536))
    except ValueError:
        return None
    if not isinstance(content, dict) or not isinstance(content.get("peer"), str | None):
        return None
    usable = all(isinstance(content.get(key), str) for key in ("fishjam", "room"))
    return content if usable else None


async def _delete(client: AsyncFishjamClient, content: dict[str, Any]) -> bool:
    """Delete an agent, and the room that was made for it; true if people keep that room."""
    room_id = content["room"]
    peer_id = content.get("peer")
    if peer_id is not None:
        try:
            await client.delete_peer(room_id, peer_id)
            logger.info("deleted the agent %s, left in room %s by an earlier run", peer_id, room_id)
        except NotFoundError:
            logger.debug("the agent %s was gone already", peer_id)
    if content.get("made_room") is not True:
        return False
    try:
        room = await client.get_room(room_id)
        if any(peer.status == "connected" for peer in room.peers):
            return True
        await client.delete_room(room_id)
    except NotFoundError:
        logger.debug("the room %s was gone already", room_id)
    return False
