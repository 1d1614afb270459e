"""One strict door for every message: bytes in, a generated message or a `ProtocolError` out."""

from __future__ import annotations

from typing import TypeVar

import betterproto

from ..errors import ProtocolError
from .wire import MAX_FIELDS, check, schema_of

M = TypeVar("M", bound=betterproto.Message)


def decode(message_class: type[M], data: bytes, *, max_fields: int = MAX_FIELDS) -> M:
    """Parse one message. Unknown fields are tolerated and kept, as protobuf demands.

    Args:
        message_class: A class of `protocol.generated`.
        data: The whole message.
        max_fields: How many fields it may have, those of messages within it included: what is read on behalf
            of strangers gets a limit of its own.

    Raises:
        ProtocolError: `data` is no such message: truncated, a wrong wire type, a group, a bad number, text
            that is not UTF-8, too many fields, or not bytes at all (a text frame).
    """
    if not isinstance(data, bytes):
        raise ProtocolError(
            f"a {type(data).__name__} came where {message_class.__name__} was expected: "
            "the other side must send binary frames"
        )
    try:
        check(data, schema_of(message_class), max_fields=max_fields)
    except ProtocolError as error:
        raise ProtocolError(
            f"received {len(data)} bytes that are no {message_class.__name__} ({error}): "
            "the other side speaks another protocol or its messages arrive damaged"
        ) from error
    return message_class().parse(data)


def encode(message: betterproto.Message) -> bytes:
    """Serialize one message."""
    return bytes(message)
