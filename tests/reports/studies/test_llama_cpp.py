"""The study of llama.cpp's servers: its models, its exact case, and runs with a small server in place of the binary."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy

from veridraft.reports.cli import main
from veridraft.reports.servers.http import ServerError
from veridraft.reports.studies.llama_cpp import audits, floors, measuring, models, plan, text
from veridraft.reports.studies.llama_cpp.audits import AUDITS, COOL, LOSSY, PLAIN, ServerAudit
from veridraft.reports.studies.llama_cpp.checkpoint import DRAFT, TARGET, total_variation, two_steps
from veridraft.reports.studies.llama_cpp.running import Starter
from veridraft.simulate.defects import DEFECTS
from veridraft.simulate.transcripts import KnownRow, Transcript

TESTS = Path(__file__).parents[2]
FAKE = """\
#!{python}
import os, sys, threading, time
sys.path.insert(0, {tests!r})
from small_server import Behaviour, serving
from veridraft.simulate.defects import DEFECTS
from veridraft.simulate.defects.correct.token_wise import TokenWise

if "--version" in sys.argv:
    print("version: 1 (small)")
    sys.exit()
given = dict(zip(sys.argv[1:], sys.argv[2:]))
with open({pids!r}, "a") as file:
    print(os.getpid(), file=file)
if os.path.exists({dead!r}) and "-md" in given:
    print("no memory", file=sys.stderr)
    sys.exit(3)
forced = "--spec-synth-rates" in given
verifier = DEFECTS["uniform_always_zero"].broken if forced else TokenWise()
behaviour = Behaviour(verifier if "-md" in given else None, rows="draft" if "-draft" in given["-m"] else "target")
dying = {dying!r}
with serving("llama.cpp", behaviour, int(given["--port"])):
    while not (os.path.exists(dying) and len(behaviour.asked) > 3):
        time.sleep(0.01)
os._exit(1)
"""

SMALL = {
    audit.name: audit
    for audit in (
        ServerAudit("transformer", "draft, probabilistic", requests=4, tokens=16),
        ServerAudit("transformer", "draft, forced rates", LOSSY, steps=True, requests=60, tokens=16),
        ServerAudit("Mamba", "none", LOSSY, sampled={**PLAIN, "temperature": 0.6}, requests=60, tokens=16),
        ServerAudit("Mamba", "draft, greedy", settings=audits.GREEDY, requests=2, tokens=16),
    )
}


@pytest.fixture
def binary(tmp_path):
    """A small server that takes llama-server's flags."""
    path = tmp_path / "llama-server"
    places = {name: str(tmp_path / name) for name in ("pids", "dead", "dying")}
    path.write_text(FAKE.format(python=sys.executable, tests=str(TESTS), **places))
    path.chmod(0o755)
    return path


@pytest.fixture
def run(binary, tmp_path, monkeypatch, capsys):
    """Runs the study on a few small audits: its status, its cells, what it said."""
    for module in (measuring, plan, text):
        monkeypatch.setattr(module, "AUDITS", SMALL)

    def go(*more):
        words = ["--binary", str(binary), "--models", str(tmp_path / "models"), "--out", str(tmp_path / "run"), *more]
        try:
            status = main(["study", "run", "llama-cpp", *words])
        except SystemExit as stop:
            status = stop.code
        file = tmp_path / "run" / "llama_cpp.jsonl"
        lines = file.read_text().splitlines()[1:] if file.exists() else []
        return status, {cell["audit"]: cell for cell in map(json.loads, lines)}, capsys.readouterr()

    return go


def ended(pids):
    """Whether every started server is gone, within some seconds."""
    waiting = [int(line) for line in pids.read_text().split()]
    until = time.monotonic() + 10
    while waiting and time.monotonic() < until:
        waiting = [pid for pid in waiting if Path(f"/proc/{pid}").exists() and _alive(pid)]
        time.sleep(0.05)
    return not waiting


def _alive(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"


def test_a_run_finds_what_is_wrong_on_purpose_and_nothing_else(run, tmp_path):
    status, cells, said = run()
    assert status == 0, said
    assert {name: cell["verdict"] for name, cell in cells.items()} == {
        name: audit.expected.value for name, audit in SMALL.items()
    }
    right, forced, cold, greedy = (cells[name] for name in SMALL)
    assert right["tokens"] == 64 and right["nats"] is None and right["drafts"][0] >= right["drafts"][1] > 0
    assert forced["nats"] > 0.1 and forced["found_after"] >= 0.4 * floors.tokens_at_least(1e-6, forced["nats"])
    assert 0.05 < cold["nats"] < 1 and cold["found_after"] >= 0.4 * floors.tokens_at_least(1e-6, cold["nats"])
    assert greedy["greedy"]["tokens"] == 32
    assert ended(tmp_path / "pids")


def test_the_text_shows_every_audit(run, tmp_path):
    run("--only", "probabilistic")
    said = (tmp_path / "run" / "llama_cpp.txt").read_text()
    assert "Checkpoints of recurrent targets" in said and "total variation 1/8" in said
    assert "server_accept_replay" in said and "version: 1 (small)" in said


def test_a_server_that_cannot_start_is_told_with_the_end_of_its_log(run, tmp_path):
    (tmp_path / "dead").touch()
    status, cells, said = run()
    assert status == 1 and not cells
    assert "a server ended before it answered" in said.err and "status 3" in said.err and "no memory" in said.err
    assert "the same command goes on from here" in said.err and "Traceback" not in said.err
    assert ended(tmp_path / "pids")


def test_a_server_that_dies_is_told_and_the_run_goes_on_where_it_was(run, tmp_path):
    first = next(iter(SMALL))
    assert run("--only", first)[0] == 0
    kept = (tmp_path / "run" / "llama_cpp.jsonl").read_text().splitlines()[1]
    (tmp_path / "run" / "llama_cpp.jsonl").unlink()
    (tmp_path / "dying").touch()
    status, cells, said = run("--only", "forced")
    assert status == 1 and not cells and "cannot be reached" in said.err and "ended with status 1" in said.err
    (tmp_path / "dying").unlink()
    status, cells, _ = run("--only", "forced")
    assert status == 0 and len(cells) == 1
    again = run("--only", "forced")
    assert again[1] == cells and "1 of 1 cells are finished already" in again[2].err
    assert json.loads(kept)["verdict"] == "no defect found"


def test_a_kill_stops_the_servers_too(binary, tmp_path):
    words = ["study", "run", "llama-cpp", "--binary", str(binary), "--models", str(tmp_path / "models")]
    words += ["--only", "Mamba; draft", "--out", str(tmp_path / "run")]
    started = subprocess.Popen([sys.executable, "-m", "veridraft", *words], stderr=subprocess.PIPE, cwd="/")
    until = time.monotonic() + 60
    while not (tmp_path / "pids").exists() or len((tmp_path / "pids").read_text().split()) < 2:
        assert time.monotonic() < until and started.poll() is None
        time.sleep(0.05)
    started.send_signal(signal.SIGTERM)
    said = started.communicate(timeout=60)[1].decode()
    assert started.returncode == 130 and "what was finished is kept" in said
    assert ended(tmp_path / "pids")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--binary", "/nowhere/llama-server"], "says how to build it"),
        (["--binary", sys.executable, "--port", "-1"], "port must lie in"),
        (["--binary", sys.executable, "--only", "gpt"], "which no audit has in its name"),
        (["--binary", "/bin/false"], "does not tell a version"),
        (["--binary", os.devnull], "is not there"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["study", "run", "llama-cpp", "--out", str(tmp_path / "run"), *words])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and said in error and error.count("\n") == 1


def test_a_server_without_an_answer_is_given_up(binary, tmp_path, monkeypatch):
    monkeypatch.setattr("veridraft.reports.studies.llama_cpp.running.STARTING", 0.3)
    binary.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    running = Starter(binary, 0, tmp_path).running(0, tmp_path / "model")
    with pytest.raises(ServerError, match="does not answer after"), running:
        pass


def test_every_claim_of_the_issue_is_planned():
    chosen = list(AUDITS.values())
    right = {(audit.speculation, tuple(audit.settings.values())) for audit in chosen if audit.pair == "SmolLM2"}
    for speculation in ("none", "n-gram", "draft, greedy", "draft, probabilistic"):
        for settings in (PLAIN, audits.NUCLEUS, audits.CUT, audits.GREEDY):
            assert (speculation, tuple(settings.values())) in right
    assert sum(audit.expected is LOSSY for audit in chosen) == 8
    assert all(audit.requests * audit.tokens <= 6400 for audit in chosen)


@pytest.mark.parametrize("pair", ["transformer", "Mamba"])
def test_random_networks_are_readable_and_always_the_same(pair, tmp_path):
    gguf = pytest.importorskip("gguf")
    files = models.files_of(pair, tmp_path / "one")
    again = models.files_of(pair, tmp_path / "two")
    assert files.target.read_bytes() == again.target.read_bytes() != files.draft.read_bytes()
    reader = gguf.GGUFReader(str(files.target))
    kind = reader.fields["general.architecture"].contents()
    assert len(reader.fields["tokenizer.ggml.tokens"].contents()) == models.WORDS
    assert reader.fields[f"{kind}.block_count"].contents() == models.LAYERS
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    assert tensors["output.weight"].shape == (models.WORDS, models.WIDTH)
    own = {tensor.name: tensor.data for tensor in gguf.GGUFReader(str(files.draft)).tensors}
    assert [name for name in tensors if (tensors[name] != own[name]).any()] == ["output.weight"]
    assert not list((tmp_path / "one").glob(".partial-*"))


def test_the_random_transformer_is_what_transformers_reads(tmp_path):
    """A whole text through the network: layout of the tensors, not their names alone."""
    pytest.importorskip("gguf")
    from veridraft.gpu.models.backend import torch
    from veridraft.gpu.models.pairs import load_network

    path = models.files_of("transformer", tmp_path).target
    network, _ = load_network("target", str(path), torch.float32, "cpu")
    with torch.inference_mode():
        row = torch.softmax(network(torch.tensor([[1, 7, 50, 3]])).logits[0, -1].double(), -1).numpy()
    entropy = -(row * np.log(row)).sum()
    assert row.shape == (models.WORDS,) and 1 < entropy < np.log(models.WORDS)


def test_layers_are_left_out_and_the_others_renumbered(tmp_path):
    gguf = pytest.importorskip("gguf")
    source = models.files_of("transformer", tmp_path).target
    models.write_without_layers(source, tmp_path / "cut.gguf", (0,))
    whole, cut = (gguf.GGUFReader(str(path)) for path in (source, tmp_path / "cut.gguf"))
    assert cut.fields["llama.block_count"].contents() == 1
    old = {tensor.name: tensor.data for tensor in whole.tensors}
    new = {tensor.name: tensor.data for tensor in cut.tensors}
    assert (new["blk.0.attn_q.weight"] == old["blk.1.attn_q.weight"]).all()
    assert len(new) == len(old) - 9
    same = set(whole.fields) - {"llama.block_count", "GGUF.tensor_count"}
    assert all(whole.fields[name].contents() == cut.fields[name].contents() for name in same)


def test_the_exact_law_of_two_steps_is_that_of_the_mechanism():
    """Simulated as the engine does it, with the generator's state put back behind a rejection."""
    law, trials = two_steps(TARGET, DRAFT), 10_000
    assert sum(law.values()) == 1 and total_variation(TARGET, law) == Fraction(1, 8)
    counts = dict.fromkeys(law, 0)
    others = np.random.default_rng(6)
    for trial in range(trials):
        coins = np.random.default_rng([5, trial])
        counts[_step(coins, others), _step(coins, others)] += 1
    expected = [float(law[pair]) * trials for pair in law]
    assert scipy.stats.chisquare([counts[pair] for pair in law], expected).pvalue > 1e-6
    flat = [trials / 4] * 4
    assert scipy.stats.chisquare([counts[pair] for pair in law], flat).pvalue < 1e-6


def test_a_coin_that_rejected_once_rejects_for_ever_where_rows_are_equal():
    """What the page says of later steps: token 0 comes first in step n with probability 1/2 (3/4)^(n - 1)."""
    trials, steps, others = 2_000, 6, np.random.default_rng(7)
    first = np.zeros(steps)
    for trial in range(trials):
        coins = np.random.default_rng([8, trial])
        first += [_step(coins, others) == 0 for _ in range(steps)]
    expected = 0.5 * 0.75 ** np.arange(steps)
    assert (np.abs(first / trials - expected) < 5 * (expected / trials) ** 0.5).all()


def _step(coins, others):
    """The first token of a step of one draft; a rejection puts the generator of the coins back."""
    before = coins.bit_generator.state
    token = int(others.random() >= DRAFT[0])
    ratio = TARGET[token] / DRAFT[token]
    if ratio >= 1 or coins.random() < ratio:
        return token
    coins.random()
    coins.bit_generator.state = before
    return 1


def test_a_lossless_draft_has_nothing_to_reject():
    law = two_steps(TARGET, TARGET)
    assert total_variation(TARGET, law) == 0


def test_the_catalogue_s_form_never_emits_the_token_that_the_page_names():
    broken, trials = DEFECTS["generator_restored"].broken, 2_000
    target = np.tile([0.5, 0.25, 0.25], (trials, 2, 1))
    draft = np.tile([1.0, 0.0, 0.0], (trials, 1, 1))
    answer = broken(target, draft, np.zeros((trials, 1), dtype=np.int64), np.random.default_rng(1))
    counts = np.bincount(np.asarray(answer.tokens)[:, 0], minlength=3)
    assert counts[1] == 0
    assert abs(counts[0] / trials - 0.5) < 6 * 0.5 / trials**0.5


def test_floors_are_divergences_of_the_true_law():
    row = np.array([0.5, 0.3, 0.2])
    text_ = Transcript((1,), (0, 1), {}, None, (1,), (1,), tuple(KnownRow.of_row(row) for _ in range(2)))
    cut = floors.of_settings([text_], lambda one: one.rows, {"top_p": 0.75})
    assert cut == pytest.approx(-np.log(0.8))
    best = KnownRow(np.array([1]), np.array([0.9]))
    law = np.array([0.7 + 0.3 * 0.3, 0.3 * 0.7])
    expected = (law * np.log(law / [0.3, 0.7])).sum() / 2
    assert floors.of_forced([text_], lambda one: [best] * 2, 0.7) == pytest.approx(expected)
    untold = Transcript((1,), (0,), {}, rows=text_.rows[:1])
    assert floors.of_forced([text_, untold], lambda one: [best] * 2, 0.7) == pytest.approx(expected)
    assert floors.of_forced([untold], lambda one: [best], 0.7) is None
    assert floors.tokens_at_least(1e-6, 0.02) == pytest.approx(690.8, abs=0.1)
    kl, distance = floors.mismatch([text_], lambda one: one.rows, lambda one: [KnownRow.of_row(row[::-1])] * 2)
    assert distance == pytest.approx(0.3) and kl == pytest.approx((0.5 - 0.2) * np.log(2.5))


def test_rows_that_know_different_tokens_differ_finitely():
    """Trap: a token that one engine lists and the other does not has no mass there, and an infinite divergence."""
    mine, theirs = KnownRow([0, 1, 2], [0.5, 0.25, 0.125]), KnownRow([0, 1, 3], [0.25, 0.5, 0.125])
    text_ = Transcript((0,), (1,), {}, None, None, None, (mine,))
    kl, distance = floors.mismatch([text_], lambda one: one.rows, lambda one: [theirs])
    assert kl == pytest.approx(0.25 * math.log(2)) and distance == pytest.approx(0.25)


def test_names_of_audits_are_distinct_and_tell_what_is_asked():
    everything = [ServerAudit("SmolLM2", *pair) for pair in product(audits.SPECULATION, (LOSSY, audits.OK))]
    assert {audit.name for audit in everything} == {f"SmolLM2; {name}; temperature 1" for name in audits.SPECULATION}
    assert ServerAudit("Mamba", "none", sampled=COOL).name.endswith("temperature 1; sampled at temperature 0.9")
    assert len(AUDITS) == 31
