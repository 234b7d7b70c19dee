"""What the documentation shows runs as written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_readme_runs_from_top_to_bottom():
    blocks = python_blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 2
    out = run("\n".join(blocks))
    assert "predicted within" in out
    assert "skill" in out


def test_the_first_block_of_the_readme_is_ten_lines_and_needs_no_other():
    block = python_blocks((ROOT / "README.md").read_text(encoding="utf-8"))[0]
    assert sum(bool(line.strip()) for line in block.splitlines()) <= 10
    run(block)


@pytest.mark.parametrize(
    ("page", "known"),
    [
        ("noise.md", ["minimal"]),
        ("segments.md", ["150 segments, int32, 400 x 600", "[0, 7]"]),
        ("anomalies.md", ["1 declared of"]),
        (
            "decisions.md",
            [
                "values [121.653 135.306 122.837], policy [1 1 1]",  # Howard, table 7.2
                "[0.85 0.15]; next [0.745 0.255]",
            ],
        ),
    ],
)
def test_the_pages_run_from_top_to_bottom(page: str, known: list[str]):
    blocks = python_blocks((ROOT / "docs" / page).read_text(encoding="utf-8"))
    out = run("\n".join(blocks))
    for answer in known:
        assert answer in out


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(path: Path):
    assert run(path.read_text(encoding="utf-8")).strip()


def test_every_example_is_listed():
    listed = (ROOT / "examples/README.md").read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES if path.name not in listed] == []


def test_links_of_the_documentation_lead_somewhere():
    missing = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "examples/README.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http") and not (page.parent / target).exists():
                missing.append(f"{page.name}: {target}")
    assert missing == []


def test_the_make_targets_that_the_readme_names_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"^make (\w+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE))
    assert named == {"demo", "test"}
    for target in named:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
