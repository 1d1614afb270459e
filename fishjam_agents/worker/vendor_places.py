"""Places that the calls of a worker have at vendors, taken before anything of a call begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fishjam_agents.backends.port import Backend
from fishjam_agents.backends.vendors import CallVendors, LimitReachedError
from fishjam_agents.worker.call_settings import CallSettings, changed_backend
from fishjam_agents.worker.room_call import RoomCall


class VendorPlaces:
    """Places at the accounts that bots use.

    Args:
        backends: Returns the backends of bots as they are now.
    """

    def __init__(self, backends: Callable[[], Mapping[str, Backend]]) -> None:
        self._backends = backends

    def full(self, bot: str, settings: CallSettings | None = None) -> str | None:
        """The limit for which no further call of a bot can begin; None while one can.

        Args:
            bot: The kind of bot.
            settings: What is said of the call: its keys may be another account.
        """
        vendors = CallVendors()
        try:
            self._reserve(bot, settings, vendors)
        except LimitReachedError as error:
            return error.reason
        finally:
            vendors.close()
        return None

    def full_bots(self) -> Mapping[str, str]:
        """Bots that can begin no call, and why."""
        reasons = {bot: self.full(bot) for bot in self._backends()}
        return {bot: reason for bot, reason in reasons.items() if reason is not None}

    def reserve(self, call: RoomCall) -> None:
        """Take the places of a call.

        Raises:
            LimitReachedError: There is none.
        """
        settings = None if call.request is None else call.request.settings
        try:
            self._reserve(call.state.bot, settings, call.vendors)
        except LimitReachedError:
            call.vendors.close()
            raise

    def _reserve(self, bot: str, settings: CallSettings | None, vendors: CallVendors) -> None:
        backend = self._backends().get(bot)
        if backend is not None:
            changed = backend if settings is None else changed_backend(backend, settings)
            changed.reserve(vendors)
