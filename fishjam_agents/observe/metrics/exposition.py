"""Metrics as text for Prometheus, of this process and of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

_CREATED = "_created"
"""End of the names of samples that tell when a counter began: Prometheus needs none, and they double it."""


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def text_of(registry: CollectorRegistry) -> str:
    """Metrics of a registry in the text form of Prometheus, version 0.0.4."""
    return _text(_without_created(registry.collect()))


def merged(texts: Mapping[str, str]) -> str:
    """Metrics of several processes as one text.

    Args:
        texts: The text of each process, by the value that its samples get for the label `process`.
    """
    found: dict[str, Metric] = {}
    for process, text in texts.items():
        for family in text_string_to_metric_families(text):
            kept = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                kept.samples.append(sample._replace(labels={**sample.labels, "process": process}))
    return _text(found.values())


def _without_created(families: Iterable[Metric]) -> Iterator[Metric]:
    for family in families:
        kept = Metric(family.name, family.documentation, family.type)
        kept.samples = [sample for sample in family.samples if not sample.name.endswith(_CREATED)]
        yield kept


def _text(families: Iterable[Metric]) -> str:
    once = CollectorRegistry(auto_describe=False)
    once.register(_Families(families))
    return generate_latest(once).decode()
