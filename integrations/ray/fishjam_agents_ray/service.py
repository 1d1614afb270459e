"""The service as its parts know it: one configuration, one Fishjam, one Serve application."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path

from fishjam_agents.cli.rooms_service import refuse_metrics_listener
from fishjam_agents.config import Config, load_config
from fishjam_agents.errors import ConfigError
from fishjam_agents.worker.created_rooms import CreatedRooms
from fishjam_agents.worker.ray_settings import RaySettings
from fishjam_agents.worker.settings import WorkersSettings


@dataclass(frozen=True, slots=True)
class Service:
    """Settings that every part of the service is given.

    Attributes:
        application: Name of the Serve application.
        config: The config.yaml, readable at this path on every machine.
        fishjam: The Fishjam.
        token: Its management token.
        created: Rooms that were made for rules.
    """

    application: str
    config: Path
    fishjam: str
    token: str = field(repr=False)
    created: tuple[CreatedRooms, ...] = ()

    def load(self) -> Config:
        """Read the configuration.

        Raises:
            ConfigError: It cannot be used as written.
        """
        return load_config(self.config)

    def ray(self, settings: Config) -> RaySettings:
        """Settings of the replicas."""
        return settings.ray or RaySettings()

    def process_limits(self, settings: Config) -> WorkersSettings:
        """Limits of a replica: those of a process, where `ray` does not say more."""
        ray = self.ray(settings)
        most = settings.workers.max_calls
        if most is None:
            most = math.ceil(1.5 * ray.target)
        return dataclasses.replace(settings.workers, max_calls=most)

    @classmethod
    def of_file(cls, application: str, config: Path) -> Service:
        """Make the service of a file whose Fishjam runs elsewhere.

        Raises:
            ConfigError: It cannot be used as written, or not by several machines.
        """
        settings = load_config(config)
        check_for_machines(settings)
        return cls(application, config, settings.fishjam.id, settings.fishjam.management_token or "")


def check_for_ray(settings: Config) -> None:
    """Refuse what of a file Ray cannot do, on one machine or several.

    Raises:
        ConfigError: There is something.
    """
    if not settings.is_multi_room:
        raise ConfigError(
            f"{settings.source} is about one room: Ray is for many, add rooms (`rooms: every`) or api"
        )
    refuse_metrics_listener(settings)
    if settings.workers.shard is not None:
        where = settings.where("workers.shard")
        raise ConfigError(f"{where}: workers.shard is for machines without Ray: leave it out")
    most, target = settings.workers.max_calls, (settings.ray or RaySettings()).target
    if most is not None and most <= target:
        where = settings.where("workers.max_calls")
        raise ConfigError(
            f"{where}: workers.max_calls is {most}, with which no replica gets beyond ray.target ({target}) "
            "and there are never more of them: set ray.target below it"
        )


def check_for_machines(settings: Config) -> None:
    """Refuse what of a file Ray cannot do on several machines.

    Raises:
        ConfigError: There is something.
    """
    check_for_ray(settings)
    if settings.fishjam.id == "local":
        raise ConfigError(
            f"{settings.where('fishjam.id')}: fishjam.id is local, which other machines do not reach: "
            "name a Fishjam"
        )
    for index, rule in enumerate(settings.rooms):
        if rule.create is not None:
            where = settings.where(f"rooms[{index}].create")
            raise ConfigError(
                f"{where}: rooms[{index}].create needs a program that deletes the rooms at its end: "
                "use id, or the calls API"
            )
