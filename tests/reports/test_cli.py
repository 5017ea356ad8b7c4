"""The command as a person meets it: bad input, a whole run, a stopped run, a run without PyTorch."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from veridraft.gpu.files.kinds import CrosscheckFile
from veridraft.reports import cli
from veridraft.reports.commands.certify.instances import Instance
from veridraft.reports.commands.report import command as report_command
from veridraft.reports.commands.report import synthetic
from veridraft.reports.commands.report.settings import Settings
from veridraft.reports.studies.table import STUDIES
from veridraft.theory.policies.base import Iid

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


def test_synthetic_report_and_its_page_made_again(tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["report", "--synthetic", "--verifiers", "naive,block", "--out", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == str(out / "report.html")
    assert "Left out: the real pair, because of --synthetic" in printed
    page = (out / "report.html").read_text()
    numbers = json.loads((out / "report.json").read_text())
    assert {row["rational"] for row in numbers["certificates"]} == {"0"}
    assert f"{numbers['league']['rows'][0]['values'][0]:.4f}" in page
    (out / "report.html").unlink()
    assert cli.main(["report", "--show", "--out", str(out)]) == 0
    assert (out / "report.html").read_text() == page


def test_the_command_on_the_page_makes_the_same_settings():
    settings = Settings(verifiers=("naive", "nss"), policy="Iid(2, 1)", temperature=0.5, steps=3, synthetic=True)
    words = settings.command
    assert words == (
        "veridraft report --verifiers naive,nss --policy 'Iid(2, 1)' --temperature 0.5 --steps 3 --synthetic"
    )
    options = report_command.parser().parse_args(shlex.split(words)[2:])
    assert Settings(**{name: getattr(options, name) for name in Settings.__dataclass_fields__}) == settings
    assert Settings().command == "veridraft report"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_keeps_what_it_finished_and_goes_on(tmp_path, sign):
    out = tmp_path / "out"
    command = [*VERIDRAFT, "report", "--synthetic", "--verifiers", "specinfer", "--out", str(out)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, preexec_fn=heed_interrupts) as run:
        pieces = wait_for_lines(out, 3, run)
        run.send_signal(sign)
        printed, _ = run.communicate(timeout=60)
    lines = pieces.read_text().splitlines()
    if sign != signal.SIGKILL:
        assert run.returncode == 130
        assert "Left out: the run was stopped" in printed
        assert "the run was stopped" in (out / "report.html").read_text()
    again = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert again.stdout.splitlines()[-1] == str(out / "report.html")
    assert pieces.read_text().splitlines()[: len(lines)] == lines
    assert "the run was stopped" not in again.stdout


def heed_interrupts() -> None:
    """A job in the background of a shell is born deaf to SIGINT, and its children with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_lines(out: Path, count: int, run: subprocess.Popen) -> Path:
    """The file of finished pieces, once it has so many lines."""
    for _ in range(1200):
        for path in out.glob("work-*/pieces.jsonl"):
            if path.read_text().count("\n") >= count:
                return path
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.05)
    pytest.fail("the run finished no piece in a minute")


def test_without_torch_the_synthetic_part_is_made_and_the_rest_named(tmp_path):
    """PyTorch and transformers are hidden from a fresh interpreter."""
    hide = (
        "import sys\n"
        "class Hider:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'transformers'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hider())\n"
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "hidden = lambda name: None if name in ('torch', 'transformers') else found(name)\n"
        "importlib.util.find_spec = hidden\n"
        "from veridraft.reports.cli import main\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-c", hide, "report", "--verifiers", "naive", "--out", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "Left out: the real pair: torch and transformers not installed: pip install 'veridraft[gpu]'" in run.stdout
    assert "Exact block efficiency" in run.stdout
    assert run.stdout.splitlines()[-1] == str(tmp_path / "report.html")


@pytest.fixture
def quick(monkeypatch):
    """The synthetic part on fewer pairs; the real part is what is tested."""
    monkeypatch.setattr(synthetic, "PAIRS", 1)
    monkeypatch.setattr(synthetic, "POLICY", Iid(2, 1))
    monkeypatch.setattr("veridraft.reports.commands.report.job.PAIRS", 2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a tiny random model and a tokenizer of whole words."""
    torch = pytest.importorskip("torch", reason="the real part needs torch")
    transformers = pytest.importorskip("transformers", reason="the real part needs transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = transformers.LlamaConfig(vocab_size=24, max_position_embeddings=256, initializer_range=0.4, **sizes)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({f"w{index}": index for index in range(24)}, unk_token="w3"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w3").save_pretrained(folder)
    return folder


def real_arguments(model: Path, out: Path) -> list[str]:
    words = ["report", "--target", str(model), "--draft", "skip:1", "--policy", "Iid(2, 2)", "--steps", "30"]
    return [*words, "--verifiers", "naive,traversal", "--out", str(out)]


def test_report_on_a_real_pair_and_its_second_run(tmp_path, capsys, quick, model):
    assert cli.main(real_arguments(model, tmp_path)) == 0
    printed = capsys.readouterr().out
    assert "Real pair: " in printed
    first = CrosscheckFile.load(tmp_path).rows
    assert [row["verifier"] for row in first] == ["naive", "traversal"]
    assert [row["policy"] for row in first] == ["Chain(2)", "Iid(2, 2)"]
    assert all(row["steps"] == 30 for row in first)
    page = (tmp_path / "report.html").read_text()
    assert f"{first[1]['measured']:.3f}" in page
    assert "plain generation stays" not in page, "that is said of the default pair only"
    assert cli.main(real_arguments(model, tmp_path)) == 0
    assert CrosscheckFile.load(tmp_path).rows == first


def test_a_verifier_that_lists_every_child_list_is_left_out_of_the_real_part(tmp_path, capsys, quick, model):
    """The others without a form on the device are decided by the law on the CPU."""
    arguments = real_arguments(model, tmp_path)
    arguments[arguments.index("naive,traversal")] = "khisti,optimal_plan"
    arguments[arguments.index("Iid(2, 2)")] = "Iid(4, 2)"
    assert cli.main(arguments) == 0
    assert "Left out: on the real pair: optimal_plan lists every child list, 24^4" in capsys.readouterr().out
    (row,) = CrosscheckFile.load(tmp_path).rows
    assert (row["verifier"], row["policy"], row["verdict"]) == ("khisti", "Iid(4, 2)", "agrees")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--target": "EMPTY"}, "is a folder without a model"),
        ({"--draft": "EMPTY"}, "is a folder without a model"),
        ({"--target": "/no/such/place"}, "does not exist"),
        ({"--draft": "skip:77"}, "77"),
        ({"--policy": "Chain(400)"}, "positions, but the target has 256"),
    ],
)
def test_bad_models_are_one_line_before_any_work(tmp_path, capsys, quick, model, changes, message):
    (tmp_path / "EMPTY").mkdir()
    arguments = real_arguments(model, tmp_path / "out")
    for name, value in changes.items():
        arguments[arguments.index(name) + 1] = value.replace("EMPTY", str(tmp_path / "EMPTY"))
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("veridraft report: error: ")
    assert message in line
    assert not list((tmp_path / "out").glob("work-*"))


def test_no_network_at_the_fetch_says_how_to_supply_a_model(tmp_path):
    pytest.importorskip("torch", reason="the real part needs torch")
    nowhere = {"VERIDRAFT_CACHE": str(tmp_path / "cache"), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    command = [*VERIDRAFT, "report", "--out", str(tmp_path / "out")]
    environment = {**os.environ, **nowhere}
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert run.returncode == 2
    assert "--target" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


def test_instances_are_the_same_in_every_run():
    first, second = (Instance.number(5).pair(seed=2) for _ in range(2))
    assert (first.target_row((0,)) == second.target_row((0,))).all()
