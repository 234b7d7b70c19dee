"""The command in processes of its own: among terminals, pipes, signals and full disks."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import pytest
from command import BACKENDS, SMALL, done, environment, helicopter, process

from helicopter.io import write_image


def without_times(entry):
    """What a command says of its work, but for the time that it took."""
    if isinstance(entry, dict):
        return {name: without_times(part) for name, part in entry.items() if name != "seconds"}
    return [without_times(part) for part in entry] if isinstance(entry, list) else entry


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("command", "files"),
    [
        (["analyze", "PHOTO", "--mask", "MASK", "--segments", "5", "--patch-size", "16"], ["-o"]),
        (["reconstruct", "PHOTO", "--mask", "MASK"], ["-o", "--uncertainty"]),
        (["noise", "PHOTO", "--mask", "MASK", "--segments", "2"], ["--map"]),
        (["anomalies", "PHOTO", "--mask", "MASK", "--segments", "5"], ["--map", "--figure"]),
        (["verify", "PHOTO", "--mask", "MASK", "--patch-size", "16"], ["-o"]),
        (["info"], []),
    ],
    ids=lambda words: words[0] if words and words[0].isalpha() else None,
)
def test_each_command_says_the_same_in_a_process_of_its_own(tmp_path, photo, mask, command, files):
    # most other tests run within theirs, where more may have been imported than a command imports
    words = [{"PHOTO": photo, "MASK": mask}.get(word, word) for word in command]
    for number, option in enumerate(files):
        words += [option, tmp_path / f"{number}.png"]
    expected = done(*words, "--json")
    made = {path for path in tmp_path.rglob("*") if path not in (photo, mask)}  # not drawn here
    for path in made:
        if path.is_file():
            path.unlink()
    found = done(*words, "--json", run=process)
    assert without_times(json.loads(found)) == without_times(json.loads(expected))
    assert {path for path in tmp_path.rglob("*") if path not in (photo, mask)} == made


def test_progress_goes_to_a_terminal_and_only_there(tmp_path, photo):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "helicopter", "analyze", str(photo), "-o", str(tmp_path / "o"),
         "--json", *SMALL],
        stdout=subprocess.PIPE, stderr=slave, env=environment(TERM="xterm-256color"),
    )  # fmt: skip
    os.close(slave)
    seen = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(master)
    out = process.communicate()[0]
    assert process.returncode == 0
    assert b"photo.png" in seen
    assert b"\x1b[" in seen
    json.loads(out)
    assert b"\x1b" not in out


@pytest.mark.quiet
@pytest.mark.parametrize("backend", BACKENDS)
def test_control_c_leaves_quietly_and_nothing_half_done(tmp_path, backend):
    image = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), dtype=np.uint8)
    write_image(tmp_path / "big.png", image)
    out = tmp_path / "o"
    process = subprocess.Popen(
        [sys.executable, "-m", "helicopter", "analyze", str(tmp_path / "big.png"), "-o", str(out),
         "--patch-size", "8", "--target-quality", "1", "--backend", backend],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        # tests that run in the background inherit SIGINT as ignored, and would hand it on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    while not out.exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.7)  # well into the analysis, which takes many times as long
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - started < 5
    assert "Traceback" not in stderr
    assert stdout == ""
    assert list(out.rglob("*")) == []


def test_a_closed_pipe_is_no_crash():
    process = subprocess.Popen(
        [sys.executable, "-m", "helicopter", "info"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)
    assert "Traceback" not in stderr


def test_what_is_written_within_a_process_is_seen_whatever_writes_it():
    # so that the tests that run the command within theirs see what a shell would show
    def below(*_arguments, **_options):
        os.write(2, b"from below")

    with mock.patch("helicopter.cli._info._print", side_effect=below):
        result = helicopter("info")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "from below")


def test_a_full_disk_leaves_the_old_results(tmp_path, photo):
    out = tmp_path / "o"
    done("analyze", photo, "-o", out, *SMALL)
    before = {path: path.read_bytes() for path in (out / "photo").iterdir()}
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        "sys.argv[0] = 'helicopter';"
        "from helicopter.cli import main; main()"
    )
    arguments = ["analyze", str(photo), "-o", str(out), "--seed", "9", *SMALL]
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "File too large" in result.stderr
    assert "reconstruction.png" in result.stderr
    assert "Traceback" not in result.stderr
    assert {path: path.read_bytes() for path in (out / "photo").iterdir()} == before
