"""Hypothesis strategies that write protobuf bytes field by field, the way no tidy encoder would."""

from __future__ import annotations

import betterproto
from hypothesis import strategies as st

from fishjam_agents.protocol.wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    FieldRule,
    Schema,
    schema_of,
    varint,
)

numbers = st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1))


def key(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def with_length(content: bytes) -> bytes:
    return varint(len(content)) + content


@st.composite
def loose_varints(draw: st.DrawFn, values: st.SearchStrategy[int] = numbers) -> bytes:
    """A varint, now and then with needless continuation bytes; readers must take those too."""
    out = varint(draw(values))
    padding = draw(st.sampled_from([0, 0, 0, 1, 3]))
    if padding and len(out) + padding <= 9:
        out = out[:-1] + bytes([out[-1] | 0x80]) + b"\x80" * (padding - 1) + b"\x00"
    return out


def _content(rule: FieldRule, wire_type: int, depth: int) -> st.SearchStrategy[bytes]:
    if wire_type == VARINT:
        return loose_varints()
    if rule.schema is not None:
        return messages(rule.schema(), depth + 1).map(with_length)
    if rule.text:
        return st.text(max_size=200).map(lambda text: with_length(text.encode()))
    if rule.packed:
        return st.lists(numbers.map(varint), max_size=3).map(lambda items: with_length(b"".join(items)))
    return st.binary(max_size=700).map(with_length)


def _unknown(schema: Schema) -> st.SearchStrategy[bytes]:
    number = st.integers(1, (1 << 29) - 1).filter(lambda candidate: candidate not in schema)
    return st.one_of(
        st.tuples(number.map(lambda n: key(n, VARINT)), loose_varints()),
        st.tuples(number.map(lambda n: key(n, FIXED64)), st.binary(min_size=8, max_size=8)),
        st.tuples(number.map(lambda n: key(n, LENGTH)), st.binary(max_size=20).map(with_length)),
        st.tuples(number.map(lambda n: key(n, FIXED32)), st.binary(min_size=4, max_size=4)),
    ).map(b"".join)


@st.composite
def messages(draw: st.DrawFn, schema: Schema, depth: int = 0) -> bytes:
    """Well-formed bytes of a schema: any order, repeated singular fields, unknown fields."""
    out = []
    for _ in range(draw(st.integers(0, 4 if depth < 3 else 1))):
        choice = draw(st.sampled_from([0, *schema]))
        if choice == 0:
            out.append(draw(_unknown(schema)))
        else:
            rule = schema[choice]
            wire_type = draw(st.sampled_from(sorted(rule.wire_types)))
            out.append(key(choice, wire_type) + draw(_content(rule, wire_type, depth)))
    return b"".join(out)


def messages_of(message_class: type[betterproto.Message]) -> st.SearchStrategy[bytes]:
    return messages(schema_of(message_class))
