"""Write the generated pages, JSON Schemas and builders (`make docs`), or say which are out of date (`--check`).

Run as `python -m docs.generate` from the top folder. Each generator is a pure function from the code to a page's text.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from customer_timeline.producers import generate as builders
from customer_timeline.schemas.json_schema import RELEASED_FILE, check_released, schema_texts
from docs.generators import asyncapi, command_line, database, digest, events, http_api, mapping, settings

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
SCHEMAS = ROOT / "schemas" / "json"

Generator = Callable[[], str]

PAGES: Mapping[Path, Generator] = {
    REFERENCE / "api.md": http_api.page,
    REFERENCE / "asyncapi.yaml": asyncapi.page,
    REFERENCE / "cli.md": command_line.page,
    REFERENCE / "database.md": database.page,
    REFERENCE / "digest.md": digest.page,
    REFERENCE / "events.md": events.page,
    REFERENCE / "mapping.md": mapping.page,
    REFERENCE / "settings.md": settings.page,
    ROOT / "producers" / builders.TARGET.name: builders.generate,
}


def expected() -> dict[Path, str]:
    """Every generated file with its text. Raises ReleasedSchemaChanged rather than write what breaks a promise."""
    texts = schema_texts()
    released: dict[str, str] = json.loads((SCHEMAS / RELEASED_FILE).read_text())
    check_released(texts, released)
    pages = {path: generator() for path, generator in PAGES.items()}
    return {**pages, **{SCHEMAS / name: text for name, text in texts.items()}}


def main(arguments: list[str]) -> int:
    """Exit code: 0 if all is (now) current, 1 if `--check` found something out of date."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if something is out of date")
    check = parser.parse_args(arguments).check
    stale = {path: text for path, text in expected().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        name = path.relative_to(ROOT)
        if check:
            sys.stderr.write(f"check: {name} is out of date: run `make docs` and commit it\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            sys.stdout.write(f"docs: wrote {name}\n")
    if check and not stale:
        sys.stdout.write("check: generated files ok\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
