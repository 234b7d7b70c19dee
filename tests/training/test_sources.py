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
        assert photograph.kind in ("deb", "npm", "git")
        if photograph.kind == "git":
            assert re.fullmatch(r"[0-9a-f]{40}", photograph.version)
            assert re.fullmatch(r"[\w.-]+/[\w.-]+", photograph.package)
        assert photograph.version
        assert photograph.licence
        assert photograph.factor >= (1 if photograph.kind == "git" else 2)
        assert re.fullmatch(r"[0-9a-f]{64}", photograph.sha256)
        assert re.fullmatch(r"[\w.-]+", photograph.name)


@pytest.fixture
def repository(tmp_path):
    """A served repository whose last commit no longer has what the first one had."""
    folder = tmp_path / "served"

    def git(*arguments):
        command = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    folder.mkdir()
    git("init", "--quiet")
    git("config", "uploadpack.allowFilter", "true")
    git("config", "uploadpack.allowAnySHA1InWant", "true")
    (folder / "a b").mkdir()
    (folder / "a b/größe.jpg").write_bytes(jpeg(64, 48))
    (folder / "other.bin").write_bytes(bytes(range(256)) * 4000)
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    commit = git("rev-parse", "HEAD")
    git("rm", "--quiet", "-r", "a b")
    git("commit", "--quiet", "-m", "second")
    return folder.as_uri(), commit


def test_photographs_come_from_a_commit_and_nothing_else_does(repository, tmp_path):
    address, commit = repository
    table, out, cache = (tmp_path / name for name in ("table.tsv", "out", "cache"))
    digest = hashlib.sha256(jpeg(64, 48)).hexdigest()
    lines = [["kind", "package", "version", "path", "name", "factor", "licence", "sha256"]]
    lines += [
        ["git", address, commit, "a b/größe.jpg", "found", "2", "CC0-1.0", digest],
        ["git", address, commit, "no.jpg", "absent", "2", "CC0-1.0", digest],
        ["git", address, commit, "other.bin", "changed", "2", "CC0-1.0", digest],
        ["git", address, "0" * 40, "a b/größe.jpg", "gone", "2", "CC0-1.0", digest],
        ["deb", "no-such-package", "1", "a", "another_kind", "2", "CC0-1.0", digest],
    ]
    table.write_text("\n".join("\t".join(line) for line in lines) + "\n", encoding="utf-8")

    def build(*others):
        return subprocess.run(
            [
                *(sys.executable, str(ROOT / "training/photographs.py"), str(out)),
                *("--table", str(table), "--kind", "git", *others),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    done = build("--package", address)
    assert done.returncode == 1
    assert [path.name for path in out.iterdir()] == ["found.png"]
    with Image.open(out / "found.png") as image:
        assert image.size == (32, 24)
    for said in ("absent: ", "changed: is not the file", "all of file:"):
        assert f"left out: {said}" in done.stderr
    assert "another_kind" not in done.stderr

    # what was not asked for stays where it is, and what is cached is not asked for again
    lines[3:5] = []
    table.write_text("\n".join("\t".join(line) for line in lines) + "\n", encoding="utf-8")
    build("--cache", str(cache))
    (repository_copy,) = cache.glob("git/*/repository")
    kilobytes = sum(path.stat().st_size for path in repository_copy.rglob("*")) // 1024
    assert kilobytes < 200
    served = tmp_path / "served"
    served.rename(tmp_path / "elsewhere")
    (out / "found.png").unlink()
    build("--cache", str(cache))
    assert (out / "found.png").exists()


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
