from __future__ import annotations

import io
import re

import pytest

from veridraft.reports.running.progress import ProgressLine, Talk


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_off_a_terminal_lines_come_at_intervals_and_at_the_end():
    often, seldom = io.StringIO(), io.StringIO()
    for stream, every in ((often, 0.0), (seldom, 3600.0)):
        progress = ProgressLine("pieces", 2, stream, every)
        progress.step("first")
        progress.step("second")
        progress.close()
    starts = [[line.split(" (")[0] for line in stream.getvalue().splitlines()] for stream in (often, seldom)]
    assert starts == [["pieces 0/2", "pieces 1/2", "pieces 2/2", "pieces 2/2"], ["pieces 0/2", "pieces 2/2"]]
    assert ", first)" in often.getvalue()
    assert re.fullmatch(r"pieces 0/2 \(00:00\)", often.getvalue().splitlines()[0])
    for stream in (often, seldom):
        assert re.fullmatch(r"pieces 2/2 \(00:\d\d\)", stream.getvalue().splitlines()[-1])
        assert not re.search("[\r\x1b]", stream.getvalue())


def test_on_a_terminal_one_line_is_written_over(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setenv("LINES", "20")
    stream = Terminal()
    progress = ProgressLine("pieces", 3, stream, done=1)
    progress.step("first")
    progress.step("x" * 500)
    progress.close()
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert max(map(len, text.split("\r"))) <= 71
    assert next(part.split()[1] for part in text.split("\r")[1:]) == "1/3"
    assert re.fullmatch(r"pieces 3/3 \(00:\d\d\) *\n", text.split("\r")[-1])


def test_an_end_before_the_last_piece_says_how_far_it_got():
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), ProgressLine("pieces", 5, stream, done=2) as progress:
        progress.step("third")
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines()[-1].startswith("pieces 3/5 (")


def test_what_leaves_nothing_is_not_heard_of_in_a_log_before_its_time():
    soon, late, screen = io.StringIO(), io.StringIO(), Terminal()
    for stream, every in ((soon, 0.0), (late, 3600.0), (screen, 10.0)):
        with ProgressLine("trials", 0, stream, every, leave=False) as progress:
            progress.reach(64, 20_000)
            progress.reach(128, 30_000)
    assert [line.split(" (")[0] for line in soon.getvalue().splitlines()][-1] == "trials 128/30000"
    assert late.getvalue() == ""
    assert screen.getvalue().rstrip(" ").endswith("\r")


def test_a_quiet_command_says_nothing(monkeypatch, capsys):
    monkeypatch.setattr(Talk, "quiet", True)
    for stream in (io.StringIO(), Terminal()):
        with ProgressLine("pieces", 1, stream) as progress:
            progress.step("first")
        assert stream.getvalue() == ""
    Talk.say("a word")
    assert capsys.readouterr().err == ""
