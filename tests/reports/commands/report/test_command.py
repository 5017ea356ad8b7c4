"""The report as a person meets it: a whole run, a stopped run, a run without PyTorch."""

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
from veridraft.reports.commands.report import command as report_command
from veridraft.reports.commands.report import job, synthetic
from veridraft.reports.commands.report.settings import Settings
from veridraft.theory.policies.paths import Iid

VERIDRAFT = [sys.executable, "-c", "import sys; from veridraft.reports.cli import main; sys.exit(main())"]
FEWER_PAIRS = """
from veridraft.reports.commands.report import job, synthetic
job.PAIRS, synthetic.PAIRS = {pairs}, 1
"""
"""A league on one pair of each kind, and the given number of certificates."""


def test_synthetic_report_and_its_page_made_again(tmp_path, capsys, quick):
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
def test_a_stopped_run_keeps_what_it_finished_and_goes_on(tmp_path, sign, monkeypatch, capsys):
    """A process is stopped; the run that goes on is in this one, which knows of it by its folder alone."""
    out = tmp_path / "out"
    words = ["report", "--synthetic", "--verifiers", "specinfer", "--out", str(out)]
    python, option, code = VERIDRAFT
    command = [python, option, FEWER_PAIRS.format(pairs=20) + code, *words]
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
    monkeypatch.setattr(synthetic, "PAIRS", 1)
    monkeypatch.setattr(job, "PAIRS", 20)
    assert cli.main(words) == 0
    again = capsys.readouterr().out
    assert again.splitlines()[-1] == str(out / "report.html")
    assert list(out.glob("work-*/pieces.jsonl")) == [pieces]
    assert pieces.read_text().splitlines()[: len(lines)] == lines
    assert "the run was stopped" not in again


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
        "importlib.util.find_spec = hidden\n" + FEWER_PAIRS.format(pairs=2) + "from veridraft.reports.cli import main\n"
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
