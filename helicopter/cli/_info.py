"""``helicopter info``: what is used here, and why not the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from helicopter._version import __version__

from ._options import JsonOption, Machine
from ._output import emit_json, stdout

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["InfoOptions", "info"]


class InfoOptions(NamedTuple):
    """What the command takes."""

    as_json: JsonOption = False
    machine: Machine = Machine()


def info(options: InfoOptions) -> int:
    """Say which backend and device is used and, for each that is not, why.

    [b]helicopter info[/b]

    [b]helicopter info --backend rust[/b]  fails, and says why, if Rust cannot be used
    """
    options.machine.prepare()
    facts = _facts(options.machine)
    if options.as_json:
        emit_json(facts)
    else:
        _print(facts)
    return 0


def _print(facts: Mapping[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = stdout()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name in ("version", "python", "platform", "backend", "device", "threads"):
        table.add_row(name, Text(str(facts[name])))
    table.add_row("algorithms", Text(", ".join(facts["algorithms"])))
    console.print(table)
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("backend", "version", "used", "why not"):
        table.add_column(heading)
    for status in facts["backends"]:
        used = status["name"] in (facts["backend"], facts["device"].partition(":")[0])
        table.add_row(
            status["name"],
            status["version"] or "-",
            "[green]yes[/green]" if used else "no",
            Text("" if used else status["reason"]),
        )
    console.print(table)


def _facts(machine: Machine) -> dict[str, Any]:
    import platform

    from helicopter import backends
    from helicopter.core import algorithms

    backend, device = backends.resolve(machine.use_rust_acceleration, machine.device)
    asked = machine.use_rust_acceleration is not None
    statuses = []
    for status in backends.report():
        used = status.name == backend
        reason = status.reason
        if not used and asked and status.available:
            reason = f"Another backend was asked for with --backend {backend}."
        statuses.append(
            {
                "name": status.name,
                "available": status.available,
                "used": used,
                "version": status.version,
                "reason": "" if used else reason,
            }
        )
    return {
        "version": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "backend": backend,
        "device": device,
        "threads": backends.get_num_threads(),
        "algorithms": list(algorithms()),
        "backends": statuses,
    }
