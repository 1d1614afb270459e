"""The playground: a page on which people talk to a bot, and its feed of the call's events."""

from .call import Controls, PlaygroundCall
from .registry import Playground, RegisteredCall

__all__ = ["Controls", "Playground", "PlaygroundCall", "RegisteredCall"]
