"""Strict check of protobuf bytes against a betterproto message class, before anything is parsed.

betterproto takes a truncated message for a whole one and raises half a dozen unrelated exceptions on
others. Rules are those of the protobuf encoding guide (https://protobuf.dev/programming-guides/encoding);
unknown fields are tolerated as it demands, groups are refused because no schema of Fishjam has any.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Mapping

import betterproto

from ..errors import ProtocolError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types; 3 and 4 are groups, 6 and 7 do not exist."""

MAX_DEPTH = 32
"""Messages within messages. Fishjam nests five deep; the limit keeps hostile bytes off the stack."""

MAX_FIELDS = 16384
"""Fields of one message, those of messages within it and packed numbers included.

Fishjam's largest are batches of notifications with a handful of fields each. Two bytes make a field, and a
field costs some 10 us, so without a limit a message of 4 MiB takes the better part of a minute.
"""

_VARINT_TYPES = frozenset(
    {
        betterproto.TYPE_BOOL,
        betterproto.TYPE_ENUM,
        betterproto.TYPE_INT32,
        betterproto.TYPE_INT64,
        betterproto.TYPE_UINT32,
        betterproto.TYPE_UINT64,
        betterproto.TYPE_SINT32,
        betterproto.TYPE_SINT64,
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class FieldRule:
    """Rule of what a known field may look like.

    Attributes:
        wire_types: Those the field may come with; a repeated number comes packed or not.
        text: The content must be UTF-8.
        packed: A content with a length is a run of varints.
        schema: Gives the rules of the content, if it is a message.
    """

    wire_types: frozenset[int]
    text: bool = False
    packed: bool = False
    schema: Callable[[], Schema] | None = None


Schema = Mapping[int, FieldRule]
"""Field number to rule."""


@functools.cache
def schema_of(message_class: type[betterproto.Message]) -> Schema:
    """The rules of a generated message class."""
    hints = typing.get_type_hints(message_class)
    rules: dict[int, FieldRule] = {}
    for field in dataclasses.fields(typing.cast(typing.Any, message_class)):
        meta = betterproto.FieldMetadata.get(field)
        hint = hints[field.name]
        if meta.map_types:
            entry = {
                1: _rule(meta.map_types[0], str, repeated=False),
                2: _rule(meta.map_types[1], typing.get_args(hint)[1], repeated=False),
            }
            rules[meta.number] = FieldRule(frozenset({LENGTH}), schema=functools.partial(dict, entry))
        else:
            repeated = typing.get_origin(hint) is list
            arguments = [kind for kind in typing.get_args(hint) if kind is not type(None)]
            rules[meta.number] = _rule(
                meta.proto_type, arguments[0] if arguments else hint, repeated=repeated
            )
    return rules


def _rule(proto_type: str, python_type: type, *, repeated: bool) -> FieldRule:
    if proto_type in _VARINT_TYPES:
        return FieldRule(frozenset({VARINT, LENGTH} if repeated else {VARINT}), packed=repeated)
    if proto_type == betterproto.TYPE_MESSAGE:
        return FieldRule(frozenset({LENGTH}), schema=functools.partial(schema_of, python_type))
    if proto_type in (betterproto.TYPE_STRING, betterproto.TYPE_BYTES):
        return FieldRule(frozenset({LENGTH}), text=proto_type == betterproto.TYPE_STRING)
    raise NotImplementedError(f"no rule for protobuf type {proto_type!r}: add one to _rule")


def check(data: bytes, schema: Schema, *, max_fields: int = MAX_FIELDS) -> None:
    """Walk `data` to its last byte, messages within it included.

    Args:
        data: The whole message.
        schema: Its rules.
        max_fields: How many fields it may have.

    Raises:
        ProtocolError: The bytes are not a well-formed message of this schema, or it has too many fields. The
            message says at which byte and why.
    """
    _check(data, schema, 0, len(data), 0, max_fields)


def _check(data: bytes, schema: Schema, start: int, end: int, depth: int, left: int) -> int:
    """Check `data[start:end]`; returns how many more fields the message may have."""
    if depth > MAX_DEPTH:
        raise ProtocolError(f"byte {start}: messages are nested deeper than {MAX_DEPTH}")
    position = start
    while position < end:
        begin = position
        left -= 1
        if left < 0:
            raise ProtocolError(f"byte {begin}: more fields than any message has")
        key, position = read_varint(data, position, end)
        number, wire_type = key >> 3, key & 7
        if number == 0 or key >= 1 << 32:
            raise ProtocolError(f"byte {begin}: {number} is not a field number")
        rule = schema.get(number)
        if rule is not None and wire_type not in rule.wire_types:
            raise ProtocolError(f"byte {begin}: field {number} has wire type {wire_type}")
        if wire_type == VARINT:
            _, position = read_varint(data, position, end)
        elif wire_type == LENGTH:
            size, position = read_varint(data, position, end)
            stop = position + size
            if stop > end:
                raise ProtocolError(f"byte {begin}: field {number} is cut off")
            if rule is not None:
                left = _check_content(data, position, stop, rule, depth, left)
            position = stop
        elif wire_type in (FIXED64, FIXED32):
            position += 8 if wire_type == FIXED64 else 4
            if position > end:
                raise ProtocolError(f"byte {begin}: field {number} is cut off")
        else:
            raise ProtocolError(f"byte {begin}: field {number} has wire type {wire_type}")
    return left


def _check_content(data: bytes, start: int, end: int, rule: FieldRule, depth: int, left: int) -> int:
    if rule.schema is not None:
        return _check(data, rule.schema(), start, end, depth + 1, left)
    if rule.text:
        try:
            data[start:end].decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(f"byte {start + error.start}: a text is not UTF-8") from error
    elif rule.packed:
        while start < end:
            left -= 1
            if left < 0:
                raise ProtocolError(f"byte {start}: more numbers than any message has")
            _, start = read_varint(data, start, end)
    return left


def read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """The varint at `position` and where it ends.

    Raises:
        ProtocolError: It runs past `end`, or it exceeds 64 bits.
    """
    value = 0
    begin = position
    for shift in range(0, 70, 7):
        if position >= end:
            raise ProtocolError(f"byte {begin}: a number is cut off")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    else:
        raise ProtocolError(f"byte {begin}: a number is longer than ten bytes")
    if value >= 1 << 64:
        raise ProtocolError(f"byte {begin}: a number exceeds 64 bits")
    return value, position


def varint(value: int) -> bytes:
    """Encode a non-negative number."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, or a message in a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


# proto3 leaves fields with their default value out.
def text(number: int, value: str) -> bytes:
    """A field of text."""
    return field(number, value.encode()) if value else b""


def number(number: int, value: int) -> bytes:
    """A field that is a number of no sign, or of an enum."""
    return varint(number << 3) + varint(value) if value else b""
