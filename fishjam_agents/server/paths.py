"""Request paths as Fishjam's clients write them."""

from __future__ import annotations

_PREFIX = ("api", "v1", "connect")


def normal_path(path: str) -> str:
    """The path below the base URL, without duplicate or trailing slashes.

    Clients join a base URL that may end in a slash with paths that begin with one, and a base URL may be
    the cloud's, `/api/v1/connect/{anything}` (Fishjam server SDKs). A `%2F` stays as it is.
    """
    segments = [segment for segment in path.split("/") if segment]
    if tuple(segments[:3]) == _PREFIX and len(segments) > 3:
        segments = segments[4:]
    return "/" + "/".join(segments)
