"""Checks of what policies answer: those of an app may answer anything."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any


class PolicyError(Exception):
    """A policy answered what is no answer.

    Attributes:
        method: Who answered.
    """

    def __init__(self, method: Callable[..., Any], answer: object, wanted: str) -> None:
        name = getattr(method, "__qualname__", method)
        super().__init__(f"your policy's {name} must return {wanted}, and returned {answer!r}")
        self.method = method


def seconds(method: Callable[..., object], answer: object) -> float:
    """An answer in seconds.

    Raises:
        PolicyError: It is no number.
    """
    if isinstance(answer, float) and answer == answer:
        return answer
    if isinstance(answer, Real) and answer == answer:
        return float(answer)
    raise PolicyError(method, answer, "seconds as a number")


def probability(method: Callable[..., object], answer: object) -> float | None:
    """An answer from 0 to 1, or None for none.

    Raises:
        PolicyError: It is something else.
    """
    if answer is None:
        return None
    if isinstance(answer, Real) and 0.0 <= float(answer) <= 1.0:
        return float(answer)
    raise PolicyError(method, answer, "a probability from 0 to 1, or None")


def verdict(method: Callable[..., object], answer: object) -> bool:
    """An answer that is yes or no.

    Raises:
        PolicyError: It is None, as that of a function without `return`.
    """
    if answer is None:
        raise PolicyError(method, answer, "True or False")
    return bool(answer)
