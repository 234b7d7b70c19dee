"""The table of the photographs that trained the shipped network, and the script that reads it."""

import hashlib
import importlib.util
import io
import json
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("sources", ROOT / "training/photographs.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["sources"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["sources"]


def test_every_photograph_has_a_source_and_a_licence(script):
    table = script.read_table(ROOT / "training/photographs.tsv")
    assert len(table) > 100
    assert len({photograph.name for photograph in table}) == len(table)
    assert len({photograph.sha256 for photograph in table}) == len(table)
    for photograph in table:
        assert photograph.kind in ("deb", "npm")
        assert photograph.version
        assert photograph.licence
        assert photograph.factor >= 2
        assert re.fullmatch(r"[0-9a-f]{64}", photograph.sha256)
        assert re.fullmatch(r"[\w.-]+", photograph.name)


def jpeg(width, height):
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(stream, "JPEG")
    return stream.getvalue()


def test_the_largest_picture_of_a_background_is_taken(script):
    large = jpeg(64, 48)
    data = b"head" + jpeg(16, 12) + b"between" + large + b"more" + jpeg(8, 8) + b"end"
    assert hashlib.sha256(script.largest_jpeg(data)).digest() == hashlib.sha256(large).digest()


def test_qt_resources_are_read(script):
    """A handmade file: a folder `a` with a stored and a deflated file."""
    texts = [("a", b""), ("x.png", b"stored"), ("y.png", b"deflated" * 9)]
    names, at = b"", []
    for name, _ in texts:
        at.append(len(names))
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    packed = struct.pack(">I", 72) + zlib.compress(texts[2][1])
    content = struct.pack(">I", 6) + b"stored" + struct.pack(">I", len(packed)) + packed
    tree = struct.pack(">IHII", 0, 2, 1, 1)
    tree += struct.pack(">IHII", at[0], 2, 2, 2)
    tree += struct.pack(">IHHHI", at[1], 0, 0, 0, 0)
    tree += struct.pack(">IHHHI", at[2], 1, 0, 0, 10)
    head = struct.pack(">4sIIII", b"qres", 1, 20, 20 + len(tree), 20 + len(tree) + len(content))
    found = dict(script.qt_resources(head + tree + content + names))
    assert found == {"/a/x.png": b"stored", "/a/y.png": b"deflated" * 9}


def test_photographs_are_made_smaller_and_put_on_white(script):
    stream = io.BytesIO()
    Image.new("RGBA", (60, 40), (0, 0, 0, 0)).save(stream, "PNG")
    image = script.shrunk(stream.getvalue(), 2)
    assert image.size == (30, 20)
    assert image.getpixel((3, 3)) == (255, 255, 255)


def test_the_model_card_says_what_the_benchmarks_said(script, tmp_path):
    figures = {
        "machine": {"processor": "a processor", "threads": 1},
        "PSNR above harmonic, dB: mean": {
            "rows": [{"method": "network", "P1": "+3.30", "P2": None}],
            "note": "on the same photographs",
        },
        "something else": {"rows": [{"a": 1}], "note": ""},
    }
    (tmp_path / "figures.json").write_text(json.dumps(figures), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "training/evaluate.py")),
            *("-o", str(tmp_path / "CARD.md"), "--figures", str(tmp_path / "figures.json")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "CARD.md").read_text(encoding="utf-8")
    assert "| network | +3.30 | - |" in card
    assert "something else" not in card
    for photograph in script.read_table(ROOT / "training/photographs.tsv"):
        assert photograph.name in card
        assert photograph.licence in card
    for heading in ("What it is", "Data", "Training", "Figures", "Limits", "Licence"):
        assert f"## {heading}" in card
