"""The house: arrows point downwards, the reference mirrors the crate, what is public is told."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "helicopter"

#: From the ground up. A package may import what stands before it, and itself.
FLOORS = (
    "errors", "_version", "_messages", "models", "_shared", "backends", "decisions", "core", "io",
    "plotting", "report", "api", "testing", "training", "cli", "__main__",
)  # fmt: skip
#: The same within core, where each file or folder is a subject.
ROOMS = (
    "validation", "prediction._error_law", "results", "evidence", "_cuda_kernel", "registry", "segments",
    "noise", "prediction", "hatata_mdp", "regional_engine", "zengeza_detector", "autonomous_engine",
    "segment_aware", "anomalies", "_analyzer",
)  # fmt: skip


def modules():
    """All modules by name: path, and whether it is a package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        package = parts[-1] == "__init__"
        found[".".join(parts[:-1] if package else parts)] = (path, package)
    return found


MODULES = modules()


def imports(name):
    """The modules of ours that a module imports anywhere, types and calls included."""
    path, package = MODULES[name]
    here = name if package else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            base = here.rsplit(".", node.level - 1)[0] if node.level else ""
            full = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                inner = f"{full}.{alias.name}"
                if inner in MODULES or full in MODULES:
                    yield inner if inner in MODULES else full


def rank(name, order, prefix):
    """The floor of a module: the longest of the names in `order` that it begins with."""
    inside = name.removeprefix(prefix)
    fitting = [floor for floor in order if inside == floor or inside.startswith(f"{floor}.")]
    assert fitting, f"{name} stands on no floor: name its place in {Path(__file__).name}"
    return order.index(max(fitting, key=len))


def test_arrows_point_downwards_between_packages():
    upwards = [
        f"{name} -> {other}"
        for name in MODULES
        if name != "helicopter"
        for other in imports(name)
        if other == "helicopter"
        or rank(name, FLOORS, "helicopter.") < rank(other, FLOORS, "helicopter.")
    ]
    assert upwards == []


def test_arrows_point_downwards_within_core():
    core = "helicopter.core."
    upwards = [
        f"{name} -> {other}"
        for name in MODULES
        if name.startswith(core)
        for other in imports(name)
        if other == "helicopter.core"
        or (other.startswith(core) and rank(name, ROOMS, core) < rank(other, ROOMS, core))
    ]
    assert upwards == []


def test_nothing_but_backends_and_tools_of_developers_names_the_reference():
    reaching = {
        name
        for name in MODULES
        for other in imports(name)
        if other.startswith("helicopter.backends.reference")
        and not name.startswith("helicopter.backends.")
    }
    assert {name.split(".")[1] for name in reaching} <= {"training"}


def twins():
    reference = PACKAGE / "backends" / "reference"
    for path in sorted(reference.rglob("*.py")):
        inside = path.relative_to(reference).with_suffix("")
        if inside.name == "__init__":
            inside = inside.parent
        if inside.parts and inside.parts != ("backend",):
            yield inside


@pytest.mark.parametrize("inside", list(twins()), ids=str)
def test_the_reference_has_the_names_of_the_crate(inside):
    crate = ROOT / "helicopter-rs" / "src"
    assert (crate / inside.with_suffix(".rs")).exists() or (crate / inside / "mod.rs").exists()


def test_the_page_of_the_public_interface_is_of_today():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import make_api
    finally:
        sys.path.remove(str(ROOT / "docs"))
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert page == make_api.api(), "run: python docs/make_api.py"
    undocumented = [
        row for row in page.splitlines() if row.startswith("| `") and row.endswith("|  |")
    ]
    assert undocumented == []
