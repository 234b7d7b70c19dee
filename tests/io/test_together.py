"""Several files that take their names together, and what is swept."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from helicopter._shared.interruptible import interruptible
from helicopter.errors import InvalidOptionError
from helicopter.io import atomic_open, read_image, together, write_image
from helicopter.io._staging import Staging, recover
from helicopter.io._together import sweep


def put(path, data):
    with atomic_open(path) as file:
        file.write(data)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_no_name_is_taken_before_the_end(tmp_path):
    with together(tmp_path / "r"):
        put(tmp_path / "r" / "a", b"1")
        put(tmp_path / "r" / "b", b"2")
        assert not (tmp_path / "r").exists()
    assert names(tmp_path) == ["r", "r/a", "r/b"]


def test_what_is_not_written_anew_goes_and_the_users_own_stays(tmp_path):
    folder = tmp_path / "r"
    folder.mkdir(mode=0o750)
    for name in ("a", "b", "mine"):
        (folder / name).write_bytes(b"old")
    with together(folder, instead_of=["a", "b"]):
        put(folder / "a", b"new")
    assert names(folder) == ["a", "mine"]
    (folder / "mine").unlink()
    with together(folder, instead_of=["a", "b"]):
        put(folder / "b", b"new")
    assert names(folder) == ["b"]
    assert folder.stat().st_mode & 0o777 == 0o750


def test_nothing_written_changes_nothing(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with together(tmp_path, instead_of=["a"]):
        pass
    assert names(tmp_path) == ["a"]
    with together(tmp_path / "r"):
        pass
    assert names(tmp_path) == ["a"]


def test_a_file_that_failed_is_none_of_them(tmp_path):
    with together():
        put(tmp_path / "a", b"new")
        with contextlib.suppress(ValueError), atomic_open(tmp_path / "b") as file:
            file.write(b"half")
            raise ValueError("x")
    assert names(tmp_path) == ["a"]


def test_links_stay_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_bytes(b"old")
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "a").symlink_to(tmp_path / "elsewhere" / "a")
    with together(tmp_path / "r", instead_of=["a"]):
        put(tmp_path / "r" / "a", b"new")
        put(tmp_path / "r" / "b", b"new")
    assert (tmp_path / "r" / "a").is_symlink()
    assert (tmp_path / "elsewhere" / "a").read_bytes() == b"new"


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "r").touch()
    with pytest.raises((InvalidOptionError, OSError)), together(tmp_path / "r"):
        put(tmp_path / "r" / "a", b"1")
    assert names(tmp_path) == ["r"]


def test_without_an_exchange_of_folders_it_works_as_well(tmp_path, monkeypatch):
    def cannot(one, other):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("helicopter.io._staging.exchange", cannot)
    for data in (b"1", b"2"):
        with together(tmp_path / "r", instead_of=["a", "b"]):
            put(tmp_path / "r" / "a", data)
    assert (tmp_path / "r" / "a").read_bytes() == b"2"
    assert names(tmp_path) == ["r", "r/a"]


def decided(folder):
    """What a process leaves that is killed just after it has decided."""
    staging = Staging(folder)
    (staging.new / "a").write_bytes(b"new")
    (staging.new / "b").write_bytes(b"new")
    staging.write_plan([staging])
    staging.decide()
    return staging


def test_what_was_decided_is_finished_but_not_over_later_changes(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").write_bytes(b"old")
    staging = decided(tmp_path)
    sweep(tmp_path)  # alive: nothing happens
    assert (tmp_path / "a").read_bytes() == b"old"
    (tmp_path / "b").write_bytes(b"the user's, since then")
    staging._lock.close()
    sweep(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "b").read_bytes() == b"the user's, since then"
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("name", ["../victim", "/tmp/victim", "..", "x/y"])
def test_a_plan_that_leads_elsewhere_is_not_followed(tmp_path, name):
    folder = tmp_path / "shared"
    folder.mkdir()
    (tmp_path / "victim").write_bytes(b"precious")
    staging = decided(folder)
    plan = json.loads((staging.home / "decided").read_bytes())
    for part in ("put", "remove"):
        forged = {**plan, part: {name: None}}
        (staging.home / "decided").write_text(json.dumps(forged))
        recover(staging.home)
    (staging.home / "decided").write_text(json.dumps({**plan, "folder": ".."}))
    staging._lock.close()
    recover(staging.home)
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert names(tmp_path)[:1] == ["shared"]
    assert not (folder / "a").exists()


def test_a_file_that_is_being_written_is_not_swept(tmp_path):
    code = (
        "import sys, time; from helicopter.io import atomic_open, together\n"
        "with together(sys.argv[1] + '/r'), atomic_open(sys.argv[1] + '/r/a') as file:\n"
        "    file.write(b'new'); print('writing', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "writing\n"
        before = names(tmp_path)
        sweep(tmp_path)
        assert names(tmp_path) == before
        process.send_signal(signal.SIGKILL)
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_two_at_once_leave_the_files_of_one(tmp_path):
    code = (
        "import sys; from helicopter.io import atomic_open, together\n"
        "for _ in range(30):\n"
        "    with together(sys.argv[1]):\n"
        "        for name in 'abc':\n"
        "            with atomic_open(f'{sys.argv[1]}/{name}') as file:\n"
        "                file.write(sys.argv[2].encode())\n"
    )
    (tmp_path / "mine").touch()
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen([*words, "1"]) as one, subprocess.Popen([*words, "2"]) as other:
        assert (one.wait(), other.wait()) == (0, 0)
    assert names(tmp_path) == ["a", "b", "c", "mine"]
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1


class Rang(BaseException):
    """The alarm has gone off."""


@pytest.fixture
def alarm():
    def ring(number, frame):
        raise Rang

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.quiet
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_writing_lets_go_within_half_a_second(tmp_path, alarm, suffix):
    deep = np.uint16 if suffix in (".png", ".tif") else np.uint8
    side = 700 if suffix == ".webp" else 3000
    image = np.random.default_rng(0).integers(0, np.iinfo(deep).max, (side, side, 3), dtype=deep)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    alarm(0.1)
    began = time.monotonic()
    with pytest.raises(Rang):
        write_image(path, image)
    assert time.monotonic() - began < 0.1 + 0.5
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == [path.name]


def test_another_thread_is_left_to_itself_and_errors_come_back(alarm):
    alarm(0.05)
    with pytest.raises(Rang):
        interruptible(lambda: time.sleep(1))
    with pytest.raises(KeyError):
        interruptible(lambda: {}[1])
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        interruptible(lambda: np.float32(1e38) * np.float32(10))
    assert interruptible(lambda: os.getpid()) == os.getpid()


@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (1, 1, 4), (5, 3, 3), (3, 90_000), (40_000, 2)])
def test_deep_png_in_strips_is_what_it_was(tmp_path, shape):
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(1).integers(0, 65536, shape, dtype=np.uint16)
    write_image(tmp_path / "a.png", image, icc_profile=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, image)
    other = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    if image.ndim == 3:
        order = [2, 1, 0, 3][: image.shape[2]]
        image = image[..., order]
    np.testing.assert_array_equal(other, image)
