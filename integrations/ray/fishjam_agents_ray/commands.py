"""`fishjam-agents ray`: the commands and their options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fishjam_agents.cli.output import say

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Bots of many rooms on many machines, by Ray Serve.",
)

_Config = Annotated[Path, typer.Argument(help="The config.yaml.", show_default=False)]


@app.command()
def up(config: _Config) -> None:
    """Serve the rooms of a config.yaml on this machine, by as many replicas as the calls need."""
    from fishjam_agents_ray.up import serve_here

    serve_here(config)


@app.command()
def config(
    config: _Config,
    path: Annotated[
        str | None, typer.Option(help="Where the file is on the machines; by default where it is here.")
    ] = None,
) -> None:
    """Print the configuration file of Ray Serve, for `serve deploy` on a cluster."""
    from fishjam_agents_ray.serve_config import serve_config_text

    say(serve_config_text(config, path or str(config.resolve())).rstrip())


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The configuration file of Serve.", show_default=False)],
) -> None:
    """Check a configuration file of Ray Serve that was changed by hand."""
    from fishjam_agents_ray.serve_config import check_serve_file

    check_serve_file(file)
    say(f"{file}: Serve takes it")


@app.command()
def manifest(
    config: _Config,
    image: Annotated[
        str, typer.Option(help="The image with Ray, fishjam-agents-ray and your bots.", show_default=False)
    ],
    path: Annotated[
        str, typer.Option(help="Where the config.yaml is in the pods; by default in the ConfigMap.")
    ] = "/etc/fishjam-agents/config.yaml",
) -> None:
    """Print the RayService of KubeRay, for `kubectl apply` on Kubernetes."""
    from fishjam_agents_ray.manifest import manifest_text

    say(manifest_text(config, image, path).rstrip())


def main(arguments: Sequence[str]) -> int:
    """Run a command; exits as the program does."""
    app(args=list(arguments), prog_name="fishjam-agents ray")
    return 0
