from __future__ import annotations

import io

from veridraft.reports.running.progress import ProgressLine


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
    assert [line.split(" (")[0] for line in often.getvalue().splitlines()] == ["pieces 1/2", "pieces 2/2", "pieces 2/2"]
    assert [line.split(" (")[0] for line in seldom.getvalue().splitlines()] == ["pieces 2/2"]


def test_on_a_terminal_one_line_is_written_over():
    stream = Terminal()
    progress = ProgressLine("pieces", 2, stream)
    progress.step("first")
    progress.step("x" * 500)
    progress.close()
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.count("\r") == 3
    assert max(map(len, text.split("\r"))) <= 160
