"""Google's `receive()` as one stream: it ends with every interaction, and trips over the unknown."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fishjam_agents.backends.port import BackendEvent, BackendWarning, SessionRefresh
from fishjam_agents.errors import BackendError

if TYPE_CHECKING:
    from google.genai.live import AsyncSession

logger = logging.getLogger(__name__)

_UNKNOWN_IN_A_ROW = 50
"""Messages the client cannot read before this is no conversation any more."""


async def receive(
    live: AsyncSession,
    take: Callable[[Any], None],
    emit: Callable[[BackendEvent], None],
    failure: Callable[[BaseException], BackendError | SessionRefresh],
) -> None:
    """Take messages until the connection ends.

    Args:
        live: Google's session.
        take: Takes a `LiveServerMessage`.
        emit: Takes warnings.
        failure: What the end of the connection is.

    Raises:
        BackendError: It was lost.
        SessionRefresh: It ended as announced.
    """
    from google.genai.errors import APIError

    unknown = 0
    stream = live.receive()
    while True:
        try:
            message = await anext(stream)
        except StopAsyncIteration:
            # It ends with every interaction.
            stream = live.receive()
            continue
        except APIError as error:
            raise failure(error) from error
        except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
            # Google's client raises these for a message it cannot read; the socket is as good as before.
            unknown += 1
            _skip(unknown, error, emit)
            stream = live.receive()
            continue
        unknown = 0
        take(message)


def _skip(unknown: int, error: Exception, emit: Callable[[BackendEvent], None]) -> None:
    logger.debug("A message of Gemini was skipped: %r", error)
    if unknown == 1:
        emit(BackendWarning("Gemini sent a message that its client cannot read: it was skipped"))
    if unknown >= _UNKNOWN_IN_A_ROW:
        raise BackendError(
            f"{unknown} messages in a row could not be read",
            subject="Gemini:",
            action="update google-genai",
            retryable=True,
            failure="protocol",
        ) from error
