"""Form bodies with files: `multipart/form-data` (RFC 7578, with the syntax of RFC 2046, section 5.1.1)."""

from __future__ import annotations

from email.message import Message

from ..errors import RequestError

MAX_PARTS = 16


def parse_multipart(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a body by name; the last one counts when a name is repeated.

    Args:
        content_type: The header of that name, with its boundary.
        body: The whole body.

    Raises:
        RequestError: 400, the body is no such form.
    """
    boundary = _parameter(content_type, "boundary", header="content-type")
    if not boundary or len(boundary) > 70 or not boundary.isascii():
        raise _malformed("its content type names no boundary")
    # The first delimiter may have no line before it.
    _preamble, *sections = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if not sections or not sections[-1].startswith(b"--"):
        raise _malformed("it does not end with its boundary")
    if len(sections) - 1 > MAX_PARTS:
        raise _malformed("it has too many parts")
    parts = {}
    for section in sections[:-1]:
        padding, line_end, part = section.partition(b"\r\n")
        head, separator, content = part.partition(b"\r\n\r\n")
        if padding.strip(b" \t") or not line_end or not separator:
            raise _malformed("a part has no header")
        name = _name(head)
        if name is None:
            raise _malformed("a part has no name")
        parts[name] = content
    return parts


def _name(head: bytes) -> str | None:
    for line in head.decode("latin-1").split("\r\n"):
        key, _, value = line.partition(":")
        if key.strip().lower() == "content-disposition":
            return _parameter(value.strip(), "name", header="content-disposition")
    return None


def _parameter(value: str, name: str, *, header: str) -> str | None:
    message = Message()
    message[header] = value.replace("\r", " ").replace("\n", " ")
    found = message.get_param(name, header=header)
    return found if isinstance(found, str) else None


def _malformed(why: str) -> RequestError:
    return RequestError(400, f"Invalid multipart body: {why}")
