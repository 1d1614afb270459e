from __future__ import annotations

import pytest

from fishjam_agents.backends import Parrot, Wav, registry
from fishjam_agents.errors import ConfigError


def test_built_in_backends_are_found_by_name() -> None:
    assert registry.load("parrot") is Parrot
    assert registry.load("wav") is Wav


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("parot", "no backend of type 'parot' is installed: did you mean 'parrot'?"),
        ("xyzzy", "no backend of type 'xyzzy' is installed: installed are"),
    ],
)
def test_unknown_backends_are_one_sentence(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.load(name)
    assert str(caught.value).startswith(message)
