"""Hostile files: what once failed, and the first few of the long run, the same every time."""

import sys
import time

import hostile_images
import pytest
import watched_reading

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")

FOUND = sorted((hostile_images.CORPUS / "found").iterdir())


def outcomes(files, folder, **limits):
    return list(watched_reading.watched(0, len(files), files.__getitem__, folder, **limits))


def test_what_once_failed_fails_no_more(tmp_path):
    found = outcomes([path.read_bytes() for path in FOUND], tmp_path, most=2**28)
    assert [path.name for path in FOUND[len(found) :]] == []
    faults = [
        (path.name, *came)
        for path, came in zip(FOUND, found, strict=True)
        if came[0] not in watched_reading.ALLOWED
    ]
    assert faults == []


def test_hostile_files_end_in_pixels_or_an_error_of_ours(tmp_path):
    seeds = hostile_images.seeds()
    files = [hostile_images.variant(number, 1, seeds) for number in range(400)]
    found = outcomes(files, tmp_path)
    faults = [
        (number, *came)
        for number, came in enumerate(found)
        if came[0] not in watched_reading.ALLOWED
    ]
    assert faults == []
    assert {result for result, _ in found} == set(watched_reading.ALLOWED)


def test_the_watch_sees_what_must_not_be(tmp_path, monkeypatch):
    def outcome(path, number):
        if number == 0:
            raise SystemExit
        if number == 1:
            print("PNG warning", file=sys.__stderr__, flush=True)
        if number == 2:
            path.with_name("other").write_bytes(b"")
        if number == 3:
            time.sleep(60)
        return "pixels", ""

    monkeypatch.setattr(watched_reading, "PATIENCE", 1)
    monkeypatch.setattr(watched_reading, "outcome", outcome)
    for number, expected in enumerate(("crash", "printed", "opened another file", "hang")):
        found = watched_reading.watched(number, number + 1, lambda _: b"", tmp_path)
        assert [result for result, _ in found] == [expected]
