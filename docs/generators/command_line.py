"""The page of the command line: every command with its arguments and options, as its `--help` tells them."""

from __future__ import annotations

from typer.main import get_command

from customer_timeline.runtime.cli.app import build_app
from docs.generators.markdown import page as markdown_page
from docs.generators.markdown import table

INTRODUCTION = """
`customer-timeline COMMAND --help` says the same. Every command reads the [settings](settings.md) from the
environment. Errors are one line on the standard error output.
"""


def _parameter_row(parameter: object) -> tuple[str, str, str] | None:
    name = getattr(parameter, "human_readable_name", "")
    options = [*getattr(parameter, "opts", []), *getattr(parameter, "secondary_opts", [])]
    if getattr(parameter, "hidden", False) or "--help" in options:
        return None
    shown = ", ".join(f"`{option}`" for option in options) if options and options[0].startswith("-") else f"`{name}`"
    default = getattr(parameter, "default", None)
    plain = default is not None and not callable(default) and default is not False and default != ()
    return shown, f"`{default}`" if plain else "", getattr(parameter, "help", None) or ""


def _sections(command: object, path: str) -> list[str]:
    children = getattr(command, "commands", {})
    if children:
        found = []
        for name in sorted(children):
            if not getattr(children[name], "hidden", False):
                found += _sections(children[name], f"{path} {name}")
        return found
    parts = [f"## `{path}`", _paragraphs(getattr(command, "help", None) or "")]
    rows = [row for row in map(_parameter_row, getattr(command, "params", [])) if row is not None]
    if rows:
        parts.append(table(("argument or option", "default", "meaning"), rows))
    return parts


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))


def page() -> str:
    """docs/reference/cli.md."""
    return markdown_page("Command line", INTRODUCTION, *_sections(get_command(build_app()), "customer-timeline"))
