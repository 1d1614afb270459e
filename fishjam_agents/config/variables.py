"""`${VAR}` and `${VAR:-default}` in the values of a file.

Variables are expanded after the file was parsed, so that what one holds can never add a line of YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOKEN = re.compile(
    r"(?P<escape>\$\$\{)|\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^{}]*))?\}|(?P<bad>\$\{)"
)


def held(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Values of the variables in a text, each with how it is written there: `{"sk-1": "${KEY}"}`.

    What a variable holds may be secret, its default is not.
    """
    names = [match["name"] for match in _TOKEN.finditer(text) if match["name"]]
    return {environ[name]: f"${{{name}}}" for name in names if environ.get(name)}


class VariableError(ValueError):
    """A value names a variable that is not set, or is not written as one."""


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace variables by what they hold; `$${` stands for `${` itself.

    As in a shell, a default is taken where the variable is missing or empty.

    Raises:
        VariableError: A variable is not set and has no default, or `${` does not begin one.
    """

    def replace(match: re.Match[str]) -> str:
        if match["escape"]:
            return "${"
        name, default = match["name"], match["default"]
        if name is None:
            raise VariableError("`${` does not begin a variable: write ${NAME}, or $${ for the characters")
        value = environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise VariableError(f"the variable {name} is not set: set it, or write ${{{name}:-default}}")
        return value

    return _TOKEN.sub(replace, text) if "${" in text else text
