"""Templates of `new --backend offline` that are files of its example: `make templates` writes them."""

from __future__ import annotations

from pathlib import Path

from fishjam_agents.cli.scaffold import offline

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "offline_assistant"
TEMPLATES = ROOT / "fishjam_agents" / "cli" / "scaffold" / "templates" / offline.FOLDER


def copies() -> dict[Path, str]:
    """What the templates have to be, by their files. Schemas stand beside the examples that name them."""
    made = {}
    for name in offline.COPIED:
        source = EXAMPLE.parent / name if name.endswith(".schema.json") else EXAMPLE / name
        text = source.read_text(encoding="utf-8")
        made[TEMPLATES / f"{name}.txt"] = text.replace("$schema=../", "$schema=")
    return made


if __name__ == "__main__":
    for path, text in copies().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
