from __future__ import annotations

import os
import sys

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("fishjam_agents", deadline=None)
settings.load_profile("fishjam_agents")

# No test asks Vapi itself about the call of a VAPI peer: nothing listens on this port.
os.environ["VAPI_URL"] = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_bot_of_another_test() -> None:
    """Forget the module `bot`, as the files of users call theirs: each test has its own."""
    sys.modules.pop("bot", None)
