"""What callers pass as ``progress=``."""

import io
import sys

import pytest

from helicopter._shared.progress import as_callback
from helicopter.errors import InvalidOptionError


@pytest.mark.parametrize("nothing", [None, False])
def test_nothing_stays_nothing(nothing):
    with as_callback(nothing, "work") as callback:
        assert callback is None


def test_a_callable_is_handed_back():
    calls = []

    def mine(done, total):
        calls.append((done, total))

    with as_callback(mine, "work") as callback:
        assert callback is mine


@pytest.mark.parametrize("wrong", [1, 0, "yes", [], 2.5])
def test_other_things_are_refused_at_once(wrong):
    with pytest.raises(InvalidOptionError, match="progress must be None, True or a callable"):
        as_callback(wrong, "work")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_drawn_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with as_callback(True, "[red]cup[/red].png") as callback:
        callback(1, 3)
        callback(3, 3)
    assert "[red]cup[/red].png" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()


def test_nothing_is_drawn_in_a_pipe(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", pipe := io.StringIO())
    with as_callback(True, "work") as callback:
        callback(1, 3)
    assert pipe.getvalue() == ""
    assert capsys.readouterr().out == ""
