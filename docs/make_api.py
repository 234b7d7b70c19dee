"""Write docs/api.md: the public modules of Helicopter and the names in them, from their docstrings.

    python docs/make_api.py

A module is public if no part of its name begins with an underscore. The modules of the reference
backend are its text, to be read beside the crate, and are not listed one by one.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import helicopter

TEXT = "helicopter.backends.reference."
HEAD = """# The public interface

Written by `python docs/make_api.py`. `help()` of a name tells the rest: shapes, units, errors, and
the paper or book that an algorithm comes from. What begins with an underscore is private.
"""


def public_modules() -> list[str]:
    """Return the names of all public modules, the package first."""
    found = ["helicopter"]
    for module in pkgutil.walk_packages(helicopter.__path__, "helicopter."):
        parts = module.name.split(".")
        if not any(part.startswith("_") for part in parts) and not module.name.startswith(TEXT):
            found.append(module.name)
    return found


def first_line(thing: object) -> str:
    """Return the first line of a docstring, with the pipes of tables escaped."""
    text = inspect.getdoc(thing) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def api() -> str:
    """Return the page."""
    parts = [HEAD]
    for name in public_modules():
        module = importlib.import_module(name)
        parts.append(f"## `{name}`\n\n{first_line(module)}\n")
        rows = [
            f"| `{item}` | {_said_of(module, item)} |" for item in getattr(module, "__all__", [])
        ]
        if rows:
            parts.append("\n".join(["| name | |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _said_of(module: object, item: str) -> str:
    value = getattr(module, item)
    if inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value):
        return first_line(value)
    return f"a {type(value).__name__}"


if __name__ == "__main__":
    Path(__file__).with_name("api.md").write_text(api(), encoding="utf-8")
