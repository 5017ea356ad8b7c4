"""Arguments that are wrong, of every command: status 2 and one sentence, before a network or torch is loaded."""

from __future__ import annotations

import sys

import pytest

from veridraft.reports import cli
from veridraft.reports.running.options import whole

WRONG = {
    "latency --draft skip:99": "draft leaves out layer 99; the target's layers are 0 to 29",
    "latency --draft skip:x": "is not of the form skip:17,18",
    "latency --target EMPTY --draft skip:1": "is a folder without a model",
    "latency --target random:8B --draft random:135M": "must share a vocabulary, but have 128256 and 49152 tokens",
    "latency --target random:9B --draft random:1B": "shape '9B' is unknown",
    "latency --dtype int8": "dtype must be one of float32",
    "latency --verifiers blok": "; did you mean block?",
    "latency --policies Foo(1)": "policy 'Foo(1)' is none of",
    "latency --contexts ,": "the list is empty",
    "latency --rounds 1.5": "'1.5' is no whole number",
    "study run suites --draft skip:99": "draft leaves out layer 99",
    "study run suites --verifiers nss,nss": "verifiers names 'nss' more than once",
    "study run suites --policies Idd(2,2)": "did you mean Iid(K, L)?",
    "study run wins --draft skip:99": "draft leaves out layer 99",
    "study run wins --temperatures x": "'x' is no number",
    "study run speed --draft skip:99": "draft leaves out layer 99",
    "study run speed --rows block:Iid(2,2)": "is not known to be lossless for the policy",
    "study run speed --target random:8B --draft random:1B": "random weights are for timing",
    "crosscheck --policy Iid(2,1) --draft skip:99": "draft leaves out layer 99",
    "crosscheck --policy Iid(2,1) --verifiers blok": "; did you mean block?",
    "crosscheck --policy Idd(2,1)": "did you mean Iid(K, L)?",
    "report --draft skip:99": "draft leaves out layer 99",
    "report --out FILE": "cannot be made a folder",
    "distil --out OUT --from-layers 0,99": "from_layers names layer 99; the target's layers are 0 to 29",
    "distil --out OUT --length 1": "length must be at least 2",
    "distil --out OUT --checkpoint-seconds nan": "checkpoint-seconds must be at least 0",
    "distil --out FILE": "cannot be made a folder",
    "distil --out OUT --dtype x": "dtype must be one of",
    "study run gaps --verifiers ,": "verifiers is empty",
    "study run gaps --verifiers nss,nss": "verifiers names 'nss' more than once",
    "study run real-audits --trials 0": "trials must be at least 1",
    "study run engines --trials 0": "trials must be at least 1",
    "study run engines --only nobody": "only 'nobody' leaves no audit of an engine",
    "what-if --gpu H100 --gpus 0": "gpus must be at least 1",
    "what-if --gpu H100 --contexts 0": "contexts must be at least 1",
    "what-if --gpu H100 --seed -1": "seed must be at least 0",
    "what-if --gpu H100 --vocabulary 1e9": "vocabulary must be at most 4096",
    "what-if --gpu H100 --number-format int3": "number format 'int3' is unknown; known are bf16",
    "what-if --gpu H100 --cache-format fp9": "; did you mean fp8?",
    "what-if --gpu H100 --price nan": "price must be positive and finite",
    "what-if --gpu H100 --batch 0": "batch must be at least 1",
    "what-if --gpu H100 --batch 900": "needs 87.6 GiB, but H100 has 80",
    "what-if --gpu H100 --target nowhere/config.json": "target 'nowhere/config.json' does not exist",
    "what-if --gpu H100 --draft 1.1B": "draft: shape '1.1B' is unknown",
    "what-if --gpu H100 --rates 0.5,0.6": "rates row 1 is 0.6 after 0.5: unconditional rates (the first 2 tokens",
    "what-if --gpu H100 --rates nowhere.json": "rates 'nowhere.json' is neither numbers nor a file",
    "what-if --gpu H100 --rates 0.5,x": "'x' is no number",
    "what-if --gpu H100 --conditional-rates 0.5,1.6": "conditional rates row 1 must lie in [0, 1], but is 1.6",
    "what-if --gpu H100 --rates 0.5 --pair near": "--pair and --rates both say what is accepted",
    "what-if --gpu H100 --rates 0.5 --policies Iid(2,1)": "rates hold for chains of the rule",
    "what-if --gpu H100 --rates 0.5 --temperatures 0.5,1": "rates hold at the sampling",
    "what-if --gpu H100 --acceptance-length 4.2 --drafted 3": "acceptance length must lie in [1, 4], as 3 tokens",
    "what-if --gpu H100 --acceptance-length 2.2": "--drafted K is missing",
    "what-if --gpu H100 --drafted 2": "--drafted belongs to --acceptance-length",
    "what-if --gpu H100 --acceptance-length 2,3 --drafted 2": "--drafted belongs to one acceptance length",
    "what-if --gpu H100 --models embedded": "--policies is missing: --models draft every tree anew",
    "what-if --gpu H100 --models llama": "models must be embedded, or a target and a draft, but are 'llama'",
    "what-if --gpu H100 --models EMPTY skip:1": "is a folder without a model",
    "what-if --gpu H100 --search --exact": "exact and search do not go together",
    "what-if --gpu H100 --budget 4": "budget belongs to --search",
    "what-if --gpu H100 --search --budget 0": "budget must be at least 1",
    "what-if --gpu H100 --search --verifiers blok": "; did you mean block?",
    "what-if --gpu H100 --search --verifiers ,": "verifiers is empty",
    "what-if --gpu H100 --json EMPTY": "cannot be written: a folder",
    "what-if --gpu H100 --json - --format csv": "both ask for the standard output",
    "what-if --gpu H100 --acceptance-length 2 --drafted 3 --format vllm": "no answer is a chain whose acceptance by",
    "what-if --gpu H100 --pair nera": "; did you mean near?",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_argument_is_one_sentence_before_torch_is_loaded(words, tmp_path, monkeypatch, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    places = {"EMPTY": "empty", "FILE": "file", "OUT": "out"}
    with pytest.raises(SystemExit) as stop:
        cli.main([places.get(word, word) for word in words.split()])
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("veridraft")
    assert printed.err.count("\n") == 1
    assert WRONG[words] in printed.err
    assert "torch" not in sys.modules


@pytest.mark.parametrize(("text", "number"), [("1e6", 10**6), ("1e3", 1000), (" 12 ", 12), ("-3", -3), ("2.0", 2)])
def test_a_whole_number_may_be_written_as_a_float(text, number):
    assert whole(text) == number
    assert isinstance(whole(text), int)
    assert whole("100000000000000000001") == 10**20 + 1


@pytest.mark.parametrize("text", ["1.5", "nan", "inf", "1e400", "many", ""])
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(ValueError, match="is no whole number"):
        whole(text)
