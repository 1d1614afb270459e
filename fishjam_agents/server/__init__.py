"""An embedded Fishjam for development, simulation and tests: REST, sockets and media on this machine."""

from .callers import Caller
from .media.clock import RoomClock
from .media.microphone import PreparedClip
from .media.playout import Cut
from .media.recorder import Recorder, Recording
from .serve import EmbeddedServer

__all__ = ["Caller", "Cut", "EmbeddedServer", "PreparedClip", "Recorder", "Recording", "RoomClock"]
