"""The command as a person meets it: bad input, help, poor consoles, closed pipes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

from veridraft.reports import cli
from veridraft.reports.commands.certify.instances import Instance
from veridraft.reports.running.progress import Talk
from veridraft.reports.studies.table import STUDIES

VERIDRAFT = [sys.executable, "-c", "import sys; from veridraft.reports.cli import main; sys.exit(main())"]

BAD = {
    "--verifiers naive,foo": "unknown verifier 'foo'; known are naive, nss",
    "--verifiers ,": "verifiers is empty",
    "--verifiers nss,nss": "names 'nss' more than once",
    "--policy Iid(4": "'Iid(4'",
    "--policy Iid(0,2)": "K must be at least 1, but is 0",
    "--temperature -1": "temperature must be finite and at least 0, but is -1.0",
    "--temperature nan": "temperature must be finite and at least 0, but is nan",
    "--top-p 0": "top-p must lie in (0, 1], but is 0.0",
    "--steps 0": "steps must be at least 1, but is 0",
    "--steps many": "'many' is no whole number",
    "--seed -3": "seed must be at least 0, but is -3",
    "--nonsense": "unrecognized arguments: --nonsense",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line_and_status_2(words, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        cli.main(["report", "--synthetic", "--out", str(tmp_path / "out"), *words.split()])
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("veridraft")
    assert BAD[words] in printed.err
    assert not (tmp_path / "out").exists()


def test_the_list_of_commands_is_printed_without_loading_any():
    code = "import sys; from veridraft.reports.cli import main\ntry: main(['--help'])\nfinally: print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    help_text, modules = run.stdout.rsplit("\n", 2)[:2]
    assert all(f"    {name}" in help_text for name in cli.COMMANDS)
    assert not {"numpy", "veridraft.theory", "veridraft.gpu"} & set(modules.split())


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_its_own_help(name, capsys):
    for action in ("run", "show"):
        with pytest.raises(SystemExit) as stop:
            cli.main(["study", action, name, "--help"])
        assert stop.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: veridraft study {action} {name} ")
    assert cli.main(["study", "list"]) == 0
    assert f"  {name}  " in capsys.readouterr().out


def test_without_a_word_the_help_is_printed(capsys):
    assert cli.main([]) == 0
    assert capsys.readouterr().out.startswith("usage: veridraft ")


@pytest.mark.parametrize(
    ("words", "meant"),
    [("reprot", "report"), ("study run gap", "gaps"), ("study shwo gaps", "show"), ("zzzz", None),
     ("report --temprature 1", "--temperature")],
)  # fmt: skip
def test_a_word_that_is_nearly_right_is_guessed(words, meant, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words.split())
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.endswith(f"; did you mean {meant}?\n") if meant else "did you mean" not in error


def test_a_fault_of_veridraft_is_no_verdict(monkeypatch, capsys):
    """Status 1 says that something is lossy or disagrees."""
    monkeypatch.setitem(cli.COMMANDS, "broken", ("studies.nothing", "a module that is not there"))
    assert cli.main(["broken"]) == 70
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("veridraft broken: this is a fault of veridraft, and no verdict\n")


def test_a_closed_pipe_is_no_traceback():
    command = f"{shlex.join([*VERIDRAFT, 'study', 'list'])} | true; echo ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout in ("0\n", "141\n")
    assert run.stderr == ""


def test_a_console_that_cannot_show_a_sign_shows_a_plain_one():
    code = "from veridraft.reports.running.console import speak_plainly\nspeak_plainly()\n"
    code += "print('\\u2212 \\u2013 \\u2019 \\u4e00')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, timeout=60, check=True)
    assert run.stdout == b"- - ' ?\n"


PLAINLY = """
import sys
from veridraft.reports import cli
from veridraft.reports.studies.table import STUDIES

helps = [["--help"], *([name, "--help"] for name in cli.COMMANDS)]
helps += [["study", action, name, "--help"] for action in ("run", "show") for name in STUDIES]
for words in helps:
    try:
        cli.main(words)
    except SystemExit as stop:
        assert stop.code == 0, words
out = sys.argv[1]
small = ["--pairs", "2", "--most-trees", "20", "--verifiers", "nss", "--out", out + "/c"]
shown = [["study", "list"], ["certify", *small], ["certify", "--show", "--out", out + "/c"],
         ["what-if", "--gpu", "H100", "--policies", "Chain(1)", "--trees", "2"], ["crosscheck", "--print-writer"]]
for words in shown:
    assert cli.main(words) == 0, words
for words in (["report", "--policy", "\u2212"], ["study", "show", "gaps", "--out", out + "/\u2013"]):
    try:
        cli.main(words)
    except SystemExit as stop:
        assert stop.code == 2, words
"""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_every_help_and_small_command_can_be_shown_by_a_console_of_few_signs(tmp_path, encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONWARNDEFAULTENCODING": "1"}
    command = [sys.executable, "-W", "error::EncodingWarning:veridraft", "-c", PLAINLY, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, env=environment, timeout=300)
    assert run.returncode == 0, run.stderr.decode(encoding)
    assert b"Traceback" not in run.stderr
    assert "usage: veridraft study show speed" in run.stdout.decode(encoding)
    assert b"\x1b" not in run.stdout + run.stderr, "there are no colours, hence none to turn off"


@pytest.mark.parametrize("words", [["nothing"], ["study"], ["study", "run"], ["study", "run", "nothing"]])
def test_a_command_or_study_that_is_none_is_one_line_and_status_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_in_the_list_has_its_own_help(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: veridraft {name} ")


def test_an_out_that_is_a_file_and_a_folder_without_a_report_are_bad_input(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for words in (["--synthetic", "--out", str(tmp_path / "file")], ["--show", "--out", str(tmp_path)]):
        with pytest.raises(SystemExit) as stop:
            cli.main(["report", *words])
        assert stop.value.code == 2
    errors = capsys.readouterr().err.splitlines()
    assert "cannot be made a folder" in errors[0]
    assert "holds no report" in errors[1]


def test_certify_refuses_bad_numbers(tmp_path, capsys):
    for words in (["--pairs", "0"], ["--most-trees", "-1"], ["--seed", "-1"], ["--verifiers", "foo"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(["certify", "--out", str(tmp_path / "out"), *words])
        assert stop.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_instances_are_the_same_in_every_run():
    first, second = (Instance.number(5).pair(seed=2) for _ in range(2))
    assert (first.target_row((0,)) == second.target_row((0,))).all()


def test_quiet_may_stand_in_front_of_the_command(capsys):
    assert cli.main(["--quiet", "study", "list"]) == 0
    printed = capsys.readouterr()
    assert "auditing" in printed.out and printed.err == ""
    assert Talk.quiet
