"""The cross-check on a tiny pair: it agrees when all is well, each planted defect breaks its own score, it resumes.

The passes are fixed beforehand.  |z| < 4 fails once in 16,000 scores that are right; a defect must exceed
twice that, and the passes were chosen so that it does by a wide margin on every seed tried.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import PROMPTS, tiny_pair

from veridraft import gpu
from veridraft.gpu.__main__ import main
from veridraft.gpu.crosschecks import crosschecker
from veridraft.gpu.crosschecks.crosschecker import Verdict, crosscheck
from veridraft.gpu.crosschecks.prediction import NO_COMPARISON, RootPrediction
from veridraft.gpu.crosschecks.scores import NO_SCORE, Score, surprise
from veridraft.gpu.decoding import single as decoding
from veridraft.gpu.decoding.drafting import forest as drafting
from veridraft.gpu.decoding.passes import tree_attention
from veridraft.gpu.verification.theory_route import too_large
from veridraft.theory.policies.base import Chain, Iid, parse_policy
from veridraft.theory.verifiers.table import VERIFIERS

SCORES = ("z", "z_draft", "z_text")
TOO_LARGE = ("optimal_plan", "lifted_optimal_plan")
RUN = tuple(name for name in VERIFIERS if name not in TOO_LARGE)
ON_CHAINS = ("naive", "block", "hierarchical", "optimal_without_replacement", "lifted_optimal_without_replacement")
OWN_POLICIES = dict.fromkeys(ON_CHAINS, "Chain(2)")
OWN_POLICIES |= dict.fromkeys(("greedy", "univer"), "TopPlusOne(2, 2)")
OWN_POLICIES |= dict.fromkeys(("spechub", "lifted_spechub"), "HubPairs(2)")
THRESHOLD = 4
FAR = 8


@pytest.fixture(scope="module")
def pair():
    return tiny_pair()


def checked(pair, verifiers=("specinfer",), policy="Iid(4, 2)", **options):
    return crosscheck(pair, verifiers, policy, prompts=PROMPTS, max_new_tokens=60, **options)


@pytest.fixture(scope="module")
def healthy(pair):
    """One run of every verifier that theory takes at 64 tokens, 25 passes each."""
    return checked(pair, None, "Delayed(3, 1, 1)", steps=25)


@pytest.mark.parametrize("name", RUN)
def test_every_verifier_agrees_with_its_law(healthy, name):
    row = next(row for row in healthy.rows if row["verifier"] == name)
    assert all(abs(row[score]) < THRESHOLD for score in SCORES)
    assert row["interval"][0] < row["difference"] < row["interval"][1]
    assert row["verdict"] == Verdict.AGREES.value
    assert row["policy"] == OWN_POLICIES.get(name, "Delayed(3, 1, 1)")
    assert row["difference"] == pytest.approx(row["measured"] - row["predicted"])
    assert 1 <= row["measured"] <= 3


def test_the_level_is_split_over_the_rows(healthy):
    assert {row["level"] for row in healthy.rows} == {1 - 0.01 / len(RUN)}
    assert healthy.verdict is Verdict.AGREES


def test_a_draft_drawn_at_another_temperature_breaks_z_draft(pair, monkeypatch):
    draw = drafting.draw
    monkeypatch.setattr(drafting, "draw", lambda row, uniforms: draw(row**0.6, uniforms))
    row = checked(pair, steps=100).rows[0]
    assert abs(row["z_draft"]) > FAR
    assert abs(row["z"]) < THRESHOLD, "given the tree, tau is right"
    assert row["verdict"] == Verdict.DISAGREES.value


def test_a_mask_that_lets_nodes_see_their_siblings_breaks_z_text(monkeypatch):
    """A causal mask in place of the tree's; the draft is the target itself, so that deep nodes are reached."""
    mask = tree_attention.tree_mask

    def leaky(ancestors, context, device="cpu"):
        seen = ancestors.copy()
        seen[:, -len(seen) :] |= np.tri(len(seen), dtype=bool)
        return mask(seen, context, device)

    monkeypatch.setattr(tree_attention, "tree_mask", leaky)
    row = checked(tiny_pair(skipped=(), sharpness=3.0), policy="Iid(4, 3)", steps=200).rows[0]
    assert abs(row["z_text"]) > FAR
    assert abs(row["z"]) < THRESHOLD and abs(row["z_draft"]) < THRESHOLD


def test_a_cache_that_is_cut_and_not_compacted_breaks_z_text(pair, monkeypatch):
    """After acceptance the first rows of the tree stay, and not those of the accepted path."""
    keep = tree_attention.TreeCacheLayer.keep
    monkeypatch.setattr(
        tree_attention.TreeCacheLayer, "keep", lambda self, context, rows: keep(self, context, range(len(rows)))
    )
    row = checked(pair, steps=150).rows[0]
    assert abs(row["z_text"]) > FAR
    assert abs(row["z"]) < THRESHOLD and abs(row["z_draft"]) < THRESHOLD


def test_a_biased_coin_breaks_z(pair, monkeypatch):
    verify = decoding.verify
    scale = torch.tensor(0.25, dtype=torch.float64)

    def biased(verifier, tree, coins):
        return verify(verifier, tree, torch.cat([coins[:-1] * scale, coins[-1:]]))

    monkeypatch.setattr(decoding, "verify", biased)
    row = checked(pair, steps=250).rows[0]
    assert row["z"] > FAR
    assert abs(row["z_draft"]) < THRESHOLD


def test_a_score_without_variance_is_not_applicable_and_the_row_still_agrees(pair, tmp_path):
    run = checked(pair, ("traversal", "block"), steps=10, temperature=0.0, out=tmp_path)
    text = (tmp_path / "crosscheck.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    for row in json.loads(text)["rows"]:
        assert [row[score] for score in SCORES] == [None, None, None]
        assert all(note.startswith("not applicable: zero variance") for note in row["notes"].values())
        assert row["interval"] == [0, 0] and row["difference"] == pytest.approx(0, abs=1e-12)
    assert run.verdict is Verdict.AGREES


def test_a_killed_run_goes_on_where_it_stopped_and_repeats_no_row(pair, tmp_path, monkeypatch):
    measure, asked = crosschecker.measure, []

    def counted(pair, verifier, policy, plan):
        asked.append(verifier)
        if asked == ["nss", "block"]:
            raise KeyboardInterrupt
        return measure(pair, verifier, policy, plan)

    monkeypatch.setattr(crosschecker, "measure", counted)
    names = ("nss", "block", "spectr")
    with pytest.raises(KeyboardInterrupt):
        checked(pair, names, steps=6, out=tmp_path)
    assert [row["verifier"] for row in json.loads((tmp_path / "crosscheck.json").read_text())["rows"]] == ["nss"]
    run = checked(pair, names, steps=6, out=tmp_path, command="the first")
    assert asked == ["nss", "block", "block", "spectr"]
    straight = checked(pair, names, steps=6)
    assert [_timeless(row) for row in run.rows] == [_timeless(row) for row in straight.rows]


def _timeless(row):
    return {name: value for name, value in row.items() if name not in ("tokens_per_second", "decoding_seconds")}


def test_the_file_holds_the_command_and_the_settings_and_refuses_others(pair, tmp_path):
    checked(pair, steps=3, out=tmp_path, command="veridraft what I typed")
    held = json.loads((tmp_path / "crosscheck.json").read_text())
    assert held["command"] == "veridraft what I typed"
    assert held["settings"]["prompts"] == [list(prompt) for prompt in PROMPTS]
    with pytest.raises(ValueError, match="holds a run with steps = 3, not 4"):
        checked(pair, steps=4, out=tmp_path)


def test_a_policy_for_each_verifier(pair):
    run = checked(pair, ("naive", "spectr"), {"naive": "Chain(1)", "spectr": "Iid(2, 1)"}, steps=3)
    assert [row["policy"] for row in run.rows] == ["Chain(1)", "Iid(2, 1)"]


def test_without_names_a_mapping_says_which_verifiers_run(pair, capsys):
    run = checked(pair, None, {"optimal": "Iid(2, 1)", "optimal_plan": "Iid(3, 1)", "nss": "Chain(1)"}, steps=3)
    assert [row["verifier"] for row in run.rows] == ["optimal", "nss"]
    assert "left out: optimal_plan lists every child list, 64^3 with Iid(3, 1)" in capsys.readouterr().err


def test_a_verifier_that_lists_every_child_list_is_for_small_vocabularies():
    said = "optimal_plan lists every child list, 49152^4 with Iid(4, 3): it is for small vocabularies"
    assert too_large("optimal_plan", Iid(4, 3), 49152) == said
    assert "49152^1" in too_large("optimal_without_replacement", Chain(3), 49152), "the plan alone has 49152^2 cells"
    assert "64^4" in too_large("lifted_optimal_plan", parse_policy("StaticIid(2x2)"), 64), "merged draws pool theirs"
    assert not too_large("optimal_plan", Iid(2, 3), 64)
    assert not too_large("optimal", Iid(4, 3), 49152)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"verifiers": ("magic",)}, "traversal"),
        ({"verifiers": ("nss", "nss")}, "verifiers must be distinct"),
        ({"steps": 0}, "steps must be at least 1, but is 0"),
        ({"seed": -1}, "seed must be at least 0, but is -1"),
        ({"temperature": -2.0}, "temperature .* is -2.0"),
        ({"top_p": 0.0}, "top_p"),
        ({"policy": "Tree(3)"}, "policy 'Tree\\(3\\)'"),
        ({"prompts": ()}, "prompts must hold"),
        ({"prompts": ([3], [900])}, "prompt token 0 is 900"),
    ],
)
def test_bad_settings_are_refused_before_any_work(pair, options, message, monkeypatch):
    monkeypatch.setattr(crosschecker, "measure", None)
    with pytest.raises(ValueError, match=message):
        crosscheck(pair, **{"prompts": PROMPTS, **options})


class Words:
    """A tokenizer without a chat template: the lengths of the words."""

    def __call__(self, text):
        return {"input_ids": [len(word) for word in text.split()]}


def test_the_command_runs_prints_and_records_itself(pair, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "load_pair", lambda *_: replace(pair, tokenizer=Words()), raising=False)
    arguments = ["--verifiers", "nss,block", "--policy", "Iid(2, 1)", "--steps", "4", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["nss", "block"]
    command = json.loads((tmp_path / "crosscheck.json").read_text())["command"]
    assert command.startswith("python -m veridraft.gpu --verifiers nss,block --policy 'Iid(2, 1)'")


def test_the_command_packs_what_is_in_one_piece(pair, monkeypatch, capsys):
    given = []
    monkeypatch.setattr(gpu, "load_pair", lambda *_: replace(pair, tokenizer=Words()), raising=False)
    monkeypatch.setattr(gpu, "packed_pair", lambda pair: given.append(pair) or pair, raising=False)
    assert main(["--pack", "--verifiers", "nss", "--policy", "Chain(1)", "--steps", "1"]) == 0
    assert len(given) == 1
    assert main(["--pack", "--tensor-parallel"]) == 2
    assert "--pack is for a pair on one device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"), [("{junk", "that is not JSON"), ("[1]", "that is no run"), ("{}", "that is no run")]
)
def test_a_folder_with_another_file_of_that_name_is_refused(pair, tmp_path, text, message):
    (tmp_path / "crosscheck.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        checked(pair, steps=1, out=tmp_path)
    with pytest.raises(ValueError, match="cannot be made a folder"):
        checked(pair, steps=1, out=tmp_path / "crosscheck.json")


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["--target", str(tmp_path), "--draft", "skip:1"]) == 2
    assert "is a folder without a model" in capsys.readouterr().err


def test_surprise_is_the_mean_and_variance_of_the_negative_log():
    rows = torch.tensor([[0.5, 0.25, 0.25, 0.0], [1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    logs = np.log([2, 4, 4])
    mean, second = np.dot([0.5, 0.25, 0.25], logs), np.dot([0.5, 0.25, 0.25], logs**2)
    score = surprise(rows, [1, 0])
    assert score.total == pytest.approx(np.log(4) - mean)
    assert score.variance == pytest.approx(second - mean**2)
    assert score.count == 2


def test_a_token_of_probability_zero_fails_the_score():
    score = surprise(torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64), [2])
    assert score.z is None and not score.holds(THRESHOLD)
    assert score.note == "an observation has probability 0 in the row it was held against"


def test_certainty_that_is_missed_fails_the_score():
    assert Score(0.0, 0.0, 5).holds(THRESHOLD) and Score(0.0, 0.0, 5).z is None
    missed = Score(1.0, 0.0, 5)
    assert not missed.holds(THRESHOLD) and "yet a difference of 1.0" in missed.note


def test_the_interval_covers_the_difference_at_its_level():
    """Trees with means and coins of known variance: the share inside a 90 % interval, at four sigma of 500 runs."""
    rng, runs, roots, inside = np.random.default_rng(0), 500, 40, 0
    for _ in range(runs):
        comparison = NO_COMPARISON
        for _ in range(roots):
            means = rng.choice([0.2, 0.8], size=3)
            tau = int(rng.random() < means[0])
            variances = means[1:] * (1 - means[1:])
            variance = variances.mean() + (1 + 1 / 2) * means[1:].var(ddof=1)
            comparison = comparison.plus(tau, RootPrediction(means[1:].mean(), variance))
        inside += comparison.interval(0.9)[0] <= comparison.difference <= comparison.interval(0.9)[1]
    assert abs(inside / runs - 0.9) < 4 * (0.9 * 0.1 / runs) ** 0.5 + 0.01


def test_an_empty_score_is_not_applicable():
    assert NO_SCORE.z is None and NO_SCORE.note == "not applicable: zero variance"
