"""An embedded Fishjam for development, simulation and tests: REST, sockets and media on this machine."""

from .callers import Caller
from .clock import RoomClock
from .microphone import PreparedClip
from .playout import Cut
from .recorder import Recorder, Recording
from .serve import EmbeddedServer

__all__ = ["Caller", "Cut", "EmbeddedServer", "PreparedClip", "Recorder", "Recording", "RoomClock"]
