"""The tutorial: every file saved, every command run in an empty folder, every output compared, apart from times."""

import pytest
from tutorial import INSTALL, README, SIX, TUTORIAL, Block, blocks, carried_out, repeated, rewritten, runs, timeless

TEXT = TUTORIAL.read_text()


def test_the_tutorial_says_what_happens(tmp_path):
    pytest.importorskip("torch", reason="the tutorial has a part on torch")
    pytest.importorskip("matplotlib", reason="the tutorial makes a page")
    for block in blocks(TEXT):
        if block.name or runs(block):
            output = carried_out(block, tmp_path)
            expected = "" if block.name else block.output
            assert timeless(output) == timeless(expected), "write the outputs anew: python tests/tutorial.py"
    assert (tmp_path / "audit.html").exists()


def test_six_questions_are_answered_as_the_page_says(tmp_path):
    pytest.importorskip("torch", reason="one of them is asked on torch")
    for block in blocks(SIX.read_text()):
        output = carried_out(block, tmp_path)
        expected = "" if block.name else block.output
        assert timeless(output) == timeless(expected), "write the outputs anew: python tests/tutorial.py"


def test_it_goes_from_installing_to_a_failing_and_a_passing_test():
    found = blocks(TEXT)
    assert found[0].command.startswith(INSTALL)
    assert [block.name for block in found if block.name].count("engine.py") == 2
    tests = [block.output for block in found if block.command == "pytest -q"]
    assert "1 failed" in tests[0]
    assert "E       AssertionError: LOSSY: engine.verify, form chain" in tests[0]
    assert "1 passed" in tests[1]


def test_blocks_are_read_with_their_files_and_outputs():
    text = "As `a.py`, later `b.py`:\n\n```python\nx = 1\n```\n\nand\n\n```console\n$ cat b.py\nx = 1\n```\n"
    assert blocks(text) == [Block("b.py", "x = 1"), Block("", "$ cat b.py\nx = 1")]
    assert blocks(text)[1].command == "cat b.py"
    assert blocks(text)[1].output == "x = 1"


def test_outputs_differ_in_times_alone():
    first, second = "3 trials, 0.1 s, seed 0  \n1 failed in 2.50s", "3 trials, 12.5 s, seed 0\n1 failed in 0.01s"
    assert timeless(first) == timeless(second)
    assert timeless("3 trials, 0.1 s") != timeless("4 trials, 0.1 s")


def test_a_wrong_output_is_noticed_and_written_anew():
    text = "As `b.py`:\n\n```python\nx = 1\n```\n\n```console\n$ cat b.py\nx = 2\n```\n"
    text += "\n```console\n$ pip install nothing\n```\n"
    assert rewritten(text) == text.replace("x = 2", "x = 1")


def test_the_readme_repeats_what_the_tutorial_says():
    readme = README.read_text()
    assert "```console" in readme
    assert repeated(readme, TEXT) == readme
    assert repeated(readme.replace("LOSSY: engine:verify", "FINE: engine:verify"), TEXT) == readme
