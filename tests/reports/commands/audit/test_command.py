"""``veridraft audit``: what it takes, what it says, its exit status, its JSON and its page."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from veridraft.reports import cli
from veridraft.reports.commands.audit.options import OPTIONS, parser
from veridraft.reports.running.loading import load
from veridraft.reports.running.options import command_of

ENGINE = '''
import time
import numpy as np

COUNT = 3

def pick(row, uniform):
    return int(min(np.searchsorted(np.cumsum(row), uniform, side="right"), np.flatnonzero(row)[-1]))

def right(target, draft, tokens, rng):
    print("loud")
    return [pick(target[0], rng.random())]

def wrong(target, draft, tokens, rng):
    return [int(tokens[0])]

def raises(target, draft, tokens, rng):
    raise RuntimeError("no kernel")

def slow(target, draft, tokens, rng):
    time.sleep(0.001)
    return right(target, draft, tokens, rng)

def leaf(target, draft, parents, tokens, rng):
    return [pick(target[0], rng.random())]

def generate(rng):
    return [int(rng.random() < 0.5)]

class Coin:
    vocabulary_size = 2
    def target_row(self, context):
        return [0.5, 0.5]

def raises_cases():
    raise KeyError("no such case")

class Engine:
    wrong = wrong

coin = Coin()
'''


def typed(options):
    return command_of(["audit", options.function], OPTIONS, options)



@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a module that no other test knows, from which the command is called."""
    (tmp_path / "audited_engine.py").write_text(ENGINE)
    (tmp_path / "failing_engine.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "leaving_engine.py").write_text("raise SystemExit('usage: engine')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    for name in ("audited_engine", "failing_engine", "leaving_engine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def run(words: str) -> int:
    return cli.main(["audit", *words.split()])


GOOD = {
    "audited_engine:wrong": (1, "LOSSY: audited_engine:wrong, form chain"),
    "audited_engine.py:wrong": (1, "LOSSY: audited_engine.py:wrong, form chain"),
    "audited_engine:right --trials 2e2": (0, "NO DEFECT FOUND: audited_engine:right, form chain"),
    "audited_engine:Engine.wrong": (1, "LOSSY: audited_engine:Engine.wrong"),
    "audited_engine:leaf --form tree --policy Static(2x1) --seconds 0.01 --merged": (2, "form tree"),
    "audited_engine:generate --form generate --target audited_engine:coin --length 2 --trials 300": (0, "generate"),
    "audited_engine:raises": (2, "RuntimeError: no kernel ("),
    "audited_engine:right --seconds 0.001": (2, "UNDECIDED"),
}


@pytest.mark.parametrize("words", GOOD)
def test_the_verdict_is_printed_and_is_the_exit_status(folder, capsys, words):
    status, text = GOOD[words]
    assert run(words) == status
    printed = capsys.readouterr()
    assert text in printed.out
    assert "loud" not in printed.out, "what the function prints is not in the way of the verdict"
    assert ("loud" in printed.err) == (":right" in words)


BAD = {
    "audited_engine": "function must be package.module:name or file.py:name, but is 'audited_engine'",
    ":right": "function must be package.module:name or file.py:name",
    "no_engine:right": "cannot import no_engine: ModuleNotFoundError: No module named 'no_engine'",
    "failing_engine:right": "cannot import failing_engine: ModuleNotFoundError: No module named 'nothing_",
    "leaving_engine:right": "cannot import leaving_engine: SystemExit: usage: engine (",
    "no_engine.py:right": "cannot import no_engine.py: FileNotFoundError: there is no file",
    "failing_engine.py:right": "cannot import failing_engine.py: ModuleNotFoundError",
    "audited_engine:rihgt": "audited_engine has no 'rihgt'; did you mean right?",
    "audited_engine:Engine.nothing": "audited_engine has no 'Engine.nothing'",
    "audited_engine:COUNT": "function 'audited_engine:COUNT' is not callable, but int",
    "audited_engine:right --form circle": "--form: invalid choice: 'circle'",
    "audited_engine:right --adapter llama": "adapter must be one of transformers_speculative_sampling",
    "audited_engine:right --adapter vllm-v1 --form tree": "adapter vllm-v1 has the form chain, but --form is tree",
    "audited_engine:right --adapter eagle --batched": "adapter eagle is called with one trial at a time",
    "audited_engine:right --adapter vllm-v1 --arrays torch": "adapter vllm-v1 makes its own tensors",
    "audited_engine:right --adapter vllm-v1 --device nowhere": "device 'nowhere' cannot be used",
    "audited_engine:right --adapter vllm-v1 --device meta": "device 'meta' cannot be used",
    "audited_engine:right --device meta": "device is for arrays='torch'",
    "audited_engine:right --adapter vllm-v1 --option 3": "--option must be NAME=VALUE, but is '3'",
    "audited_engine:right --adapter vllm-v1 --option x=nope:x": "cannot import nope",
    "audited_engine:right --adapter vllm-v1 --option height=3": "unexpected keyword argument 'height'",
    "audited_engine:right --option x=3": "--option is for an adapter",
    "audited_engine:right --merged": "--merged is for the form tree, but the form is chain",
    "audited_engine:right --policy Bush(3)": "policy 'Bush(3)' is none of Chain(L)",
    "audited_engine:right --policy Iid(2,2)": "the form chain needs a policy Chain(L), but has Iid(2, 2)",
    "audited_engine:generate --form generate": "the form generate needs target",
    "audited_engine:generate --form generate --target audited_engine:coin": "target and length belong together",
    "audited_engine:generate --form generate --target audited_engine:COUNT --length 2": "target must have",
    "audited_engine:right --dtype int32": "dtype must name floats of numpy, but is 'int32'",
    "audited_engine:right --trials 0": "trials must be at least 1, but is 0",
    "audited_engine:right --level 2": "level must lie in (0, 1), but is 2.0",
    "audited_engine:right --seconds -1": "seconds must be above 0, but is -1.0",
    "audited_engine:right --call-seconds 0": "call_seconds must be above 0, but is 0.0",
    "audited_engine:right --json .": "--json '.' cannot be written: a folder",
    "audited_engine:right --out .": "--out '.' cannot be written: a folder",
    "audited_engine:right --dump .": "--dump '.' cannot be written: a folder",
    "audited_engine:wrong --json audited_engine.py/x.json": "cannot be written: ",
    "audited_engine:wrong --dump /proc/nothing/x.npz": "cannot be written: ",
    "audited_engine:wrong --out /proc/x.html": "cannot be written: ",
    "audited_engine:right --trials 1.5": "argument --trials: '1.5' is no whole number, such as 1000 or 1e3",
    "audited_engine:right --cases audited_engine:raises_cases": "cases 'audited_engine:raises_cases' raised KeyError",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line_and_status_2(folder, capsys, words):
    with pytest.raises(SystemExit) as stop:
        run(words)
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("veridraft audit: error: ")
    assert BAD[words] in printed.err


def test_a_page_without_its_packages_is_bad_input_before_any_call(folder, capsys, monkeypatch):
    monkeypatch.setattr("veridraft.reports.writing.html.find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        run("audited_engine:wrong --out page.html")
    assert "pip install 'veridraft[report]'" in capsys.readouterr().err


def test_json_goes_to_a_file_or_to_the_output_alone(folder, capsys):
    assert run("audited_engine:wrong --json results/audit.json") == 1
    assert "LOSSY" in capsys.readouterr().out
    values = json.loads((folder / "results" / "audit.json").read_text())
    assert values["verdict"] == "lossy"
    assert values["exit_status"] == 1
    assert values["findings"][0]["expected"] != values["findings"][0]["observed"]
    assert values["cases"][0]["departures"]
    assert values["command"] == "veridraft audit audited_engine:wrong --json results/audit.json"
    assert run("audited_engine:wrong --json -") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["findings"] == values["findings"]
    assert "LOSSY" in printed.err


def test_the_command_is_said_with_what_is_not_the_default():
    words = ["a.b:c", "--form", "tree", "--merged", "--policy", "Iid(2, 2)", "--level", "1e-3",
             "--adapter", "vllm-v1", "--option", "x=1", "--option", "y=2", "--trials", "30", "--batched"]  # fmt: skip
    again = typed(parser().parse_args(words))
    assert again == (
        "veridraft audit a.b:c --form tree --batched --adapter vllm-v1 --option x=1 --option y=2 --policy 'Iid(2, 2)' "
        "--merged --trials 30 --level 0.001"
    )
    assert typed(parser().parse_args(["a:b"])) == "veridraft audit a:b"


def test_a_file_and_its_name_are_one_module(folder):
    assert load("function", "audited_engine.py:right") is load("target", f"{folder}/audited_engine.py:right")
    assert load("function", "audited_engine:right") is load("function", "audited_engine.py:right")


def test_a_file_named_like_a_module_does_not_take_its_place(folder):
    (folder / "json.py").write_text("def verify():\n    return 3\n")
    assert load("function", "json.py:verify")() == 3
    assert sys.modules["json"] is json


def test_an_adapter_wraps_the_function_and_is_named(folder, capsys):
    pytest.importorskip("torch")
    (folder / "audited_engine.py").write_text(
        "import torch\n"
        "def sampled(ids, logits, length, new_logits, shift=0):\n"
        "    row = torch.softmax(new_logits[0, 0].double(), 0)\n"
        "    return (torch.multinomial(row, 1)[None] + shift) % len(row), 0\n"
    )
    assert run("audited_engine:sampled --adapter transformers_speculative_sampling --option shift=1") == 1
    named = "audited_engine:sampled through the adapter transformers_speculative_sampling, form chain"
    assert f"LOSSY: {named}" in capsys.readouterr().out


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_prints_and_writes_what_was_seen(folder, sign):
    code = "import sys; from veridraft.reports.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "audit", "audited_engine:slow", "--json", "seen.json"]
    with subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_interrupts
    ) as process:
        heard = process.stderr.readline()
        time.sleep(0.7)
        process.send_signal(sign)
        out, err = process.communicate(timeout=60)
    assert heard == "loud\n"
    assert process.returncode == 130, err
    assert "Stopped" in err
    assert "Traceback" not in err
    assert out.startswith("UNDECIDED: audited_engine:slow, form chain\n")
    assert json.loads((folder / "seen.json").read_text())["verdict"] == "undecided"


def heed_interrupts() -> None:
    """A job in the background of a shell is born deaf to SIGINT, and its children with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_lossy_verdict_is_said_before_it_is_explained(folder, capsys):
    assert run("audited_engine:wrong --trials 5000") == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("LOSSY after 64 trials: case random, string")
    assert printed.out.startswith("LOSSY: audited_engine:wrong, form chain\n64 trials over 1 case and ")


def test_without_a_mechanism_nothing_more_is_called(folder, capsys):
    assert run("audited_engine:wrong --no-mechanism") == 1
    out = capsys.readouterr().out
    assert "not judged" not in out and "likely" not in out


def test_the_lines_behind_a_dump_run_the_trial_again(folder, capsys):
    assert run("audited_engine:wrong --trials 5000 --dump trials/one.npz") == 1
    out = capsys.readouterr().out
    assert "trials/one.npz holds a telling trial, and no uniforms: it asked the generator" in out
    assert "; these lines run it again:" in out
    script = out[out.index("import numpy as np") :]
    again = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == re.search(r"# (\[.*\])", script)[1]


def test_a_dump_of_a_verifier_that_passes_is_not_written(folder, capsys):
    assert run("audited_engine:right --trials 200 --dump one.npz") == 0
    assert "one.npz was not written: there is no trial" in capsys.readouterr().out
    assert not (folder / "one.npz").exists()


def test_the_traceback_of_the_function_is_shown_on_request(folder, capsys):
    assert run("audited_engine:raises") == 2
    assert "Traceback" not in capsys.readouterr().err
    assert run("audited_engine:raises --traceback") == 2
    assert 'raise RuntimeError("no kernel")' in capsys.readouterr().err


def test_cases_come_from_a_sequence_or_a_function_of_that_name(folder, capsys):
    (folder / "own_cases.py").write_text(
        "from veridraft.simulate import Case\n"
        "from veridraft.theory import Chain, MarkovPair\n"
        "LIST = [Case('mine', MarkovPair([[0.5, 0.5]] * 2, [[0.5, 0.5]] * 2), Chain(1), 'a test')]\n"
        "def made():\n    return LIST\n"
    )
    for name in ("LIST", "made"):
        assert run(f"audited_engine:wrong --cases own_cases:{name} --trials 300") == 0, "the drafts are the target's"
        assert "over 1 case" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run("audited_engine:wrong --cases audited_engine:COUNT")
    assert "must be a sequence of veridraft.simulate.Case, but is 3" in capsys.readouterr().err


def test_options_of_a_target_go_to_the_audit(folder, capsys):
    words = "audited_engine:generate --form generate --target audited_engine:coin --length 2 --trials 300"
    assert run(f"{words} --end 1 --second-target audited_engine:coin --drafts 1") == 0
    out = capsys.readouterr().out
    assert "Strings had 2 tokens" in " ".join(out.split())
    with pytest.raises(SystemExit):
        run("audited_engine:right --end 1")
    assert "end belongs to a target" in capsys.readouterr().err


def test_the_page_is_written_and_its_path_is_the_last_line(folder, capsys):
    assert run("audited_engine:wrong --out pages/audit.html") == 1
    assert capsys.readouterr().out.splitlines()[-1] == "pages/audit.html"
    assert "audited_engine:wrong" in (folder / "pages" / "audit.html").read_text()
