"""Sentences sorted by what they mean: a ridge classifier over vectors of examples.

Its targets are 1 for the class of an example and -1 for all others; the mean of the examples is taken from
every vector, which embeddings of one model have largely in common. The closed form of ridge regression is
Hoerl and Kennard's (Technometrics 12, 1970).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

LAMBDA = 0.1
"""Weight of the coefficients' squares."""
Vectors: TypeAlias = npt.NDArray[np.float32]
"""Unit length, shape (n, d) or (d,)."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Fit of a sentence to each class; 1 is as well as an example, -1 not at all.

    Attributes:
        ordered: Classes with their scores, the best first.
    """

    ordered: Sequence[tuple[str, float]]

    @property
    def best(self) -> str:
        """The class that fits best."""
        return self.ordered[0][0]

    @property
    def margin(self) -> float:
        """Lead of the best class over the second."""
        return self.ordered[0][1] - self.ordered[1][1] if len(self.ordered) > 1 else 1.0


class RidgeClassifier:
    """Classifier made of examples.

    Args:
        vectors: One for each example, shape (n, d).
        labels: The class of each.
    """

    def __init__(self, vectors: Vectors, labels: Sequence[str]) -> None:
        self._classes = sorted(set(labels), key=labels.index)
        self._mean = vectors.mean(axis=0)
        centred = vectors - self._mean
        targets = np.where(np.array(labels)[:, None] == np.array(self._classes)[None], 1.0, -1.0)
        count = len(labels)
        # In its dual form: there are fewer examples than dimensions.
        inverse = np.linalg.solve(
            centred @ centred.T + LAMBDA * np.eye(count), targets - targets.mean(axis=0)
        )
        self._weights = centred.T @ inverse
        self._offset = targets.mean(axis=0)

    def scores(self, vector: Vectors) -> Scores:
        """Score one sentence."""
        values = (vector - self._mean) @ self._weights + self._offset
        order = np.argsort(-values, kind="stable")
        return Scores([(self._classes[index], float(values[index])) for index in order])
