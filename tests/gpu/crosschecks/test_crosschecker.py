"""The cross-check on a tiny pair: it agrees when all is well, each planted defect breaks its own score, it resumes.

The passes are fixed beforehand.  |z| < 4 fails once in 16,000 scores that are right; a defect must exceed
twice that, and the passes were chosen so that it does by a wide margin on every seed tried.
"""

from __future__ import annotations

import json
import zlib

import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import PROMPTS, tiny_pair

from veridraft.gpu.crosschecks import suite
from veridraft.gpu.crosschecks.crosschecker import crosscheck
from veridraft.gpu.crosschecks.suite import CellVerdict
from veridraft.gpu.decoding import batch as decoding
from veridraft.gpu.decoding.drafting import child_draws
from veridraft.gpu.decoding.passes import cache
from veridraft.gpu.files.kinds import CrosscheckFile
from veridraft.theory.policies import DraftLaw
from veridraft.theory.solvers import reject_in_order
from veridraft.theory.solvers.sequential import nss
from veridraft.theory.verifiers.lifts import top_down
from veridraft.theory.verifiers.table import OWN, VERIFIERS, Verifier, add_verifier

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
    """One run of every verifier that theory takes at 64 tokens, 15 passes each."""
    return checked(pair, None, "Delayed(3, 1, 1)", steps=15)


@pytest.mark.parametrize("name", RUN)
def test_every_verifier_agrees_with_its_law(healthy, name):
    row = next(row for row in healthy.rows if row["verifier"] == name)
    assert all(abs(row[score]) < THRESHOLD for score in SCORES)
    assert row["interval"][0] < row["difference"] < row["interval"][1]
    assert row["verdict"] == CellVerdict.AGREES.value
    assert row["policy"] == OWN_POLICIES.get(name, "Delayed(3, 1, 1)")
    assert row["difference"] == pytest.approx(row["measured"] - row["predicted"])
    assert 1 <= row["measured"] <= 3


def test_the_level_is_split_over_the_rows(healthy):
    assert {row["level"] for row in healthy.rows} == {1 - 0.01 / len(RUN)}
    assert healthy.verdict is CellVerdict.AGREES


def test_a_draft_drawn_at_another_temperature_breaks_z_draft(pair, monkeypatch):
    draw, kind = child_draws._independent, child_draws.ChildDraw.INDEPENDENT
    monkeypatch.setitem(child_draws.DRAWS, kind, lambda rows, uniforms: draw(rows**0.6, uniforms))
    row = checked(pair, steps=60).rows[0]
    assert abs(row["z_draft"]) > FAR
    assert abs(row["z"]) < THRESHOLD, "given the tree, tau is right"
    assert row["verdict"] == CellVerdict.DISAGREES.value


def test_a_mask_that_lets_nodes_see_their_siblings_breaks_z_text(monkeypatch):
    """A causal mask in place of the tree's; the draft is the target itself, so that deep nodes are reached."""
    mask = cache._mask

    def leaky(bases, context, visible):
        new = visible.shape[1]
        seen = visible.clone()
        seen[:, :, -new:] |= torch.ones((new, new), dtype=torch.bool).tril()
        return mask(bases, context, seen)

    monkeypatch.setattr(cache, "_mask", leaky)
    row = checked(tiny_pair(skipped=(), sharpness=3.0), policy="Iid(4, 3)", steps=150).rows[0]
    assert abs(row["z_text"]) > FAR
    assert abs(row["z"]) < THRESHOLD and abs(row["z_draft"]) < THRESHOLD


def test_a_cache_that_is_cut_and_not_compacted_breaks_z_text(pair, monkeypatch):
    """After acceptance the first rows of the tree stay, and not those of the accepted path."""
    monkeypatch.setattr(cache.BatchModel, "move", lambda self, rows, source: None)
    row = checked(pair, steps=120).rows[0]
    assert abs(row["z_text"]) > FAR
    assert abs(row["z"]) < THRESHOLD and abs(row["z_draft"]) < THRESHOLD


def test_a_biased_coin_breaks_z(pair, monkeypatch):
    verify = decoding.verify_batch
    scale = torch.tensor(0.25, dtype=torch.float64)

    def biased(verifier, batch, coins):
        return verify(verifier, batch, torch.cat([coins[:, :-1] * scale, coins[:, -1:]], dim=1))

    monkeypatch.setattr(decoding, "verify_batch", biased)
    row = checked(pair, steps=150).rows[0]
    assert row["z"] > FAR
    assert abs(row["z_draft"]) < THRESHOLD


def test_a_score_without_variance_is_not_applicable_and_the_row_still_agrees(pair, tmp_path):
    run = checked(pair, ("traversal", "block"), steps=10, temperature=0.0, out=tmp_path)
    text = (tmp_path / "crosscheck.jsonl").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert len(CrosscheckFile.load(tmp_path).rows) == 2
    for row in map(json.loads, text.splitlines()[1:]):
        assert [row[score] for score in SCORES] == [None, None, None]
        assert all(note.startswith("not applicable: zero variance") for note in row["notes"].values())
        assert row["interval"] == [0, 0] and row["difference"] == pytest.approx(0, abs=1e-12)
    assert run.verdict is CellVerdict.AGREES


def test_a_killed_run_goes_on_where_it_stopped_and_repeats_no_row(pair, tmp_path, monkeypatch):
    measure, asked = suite.measure_cell, []

    def counted(pair, cell, plan):
        asked.append(cell.verifier)
        if asked == ["nss", "block"]:
            raise KeyboardInterrupt
        return measure(pair, cell, plan)

    monkeypatch.setattr(suite, "measure_cell", counted)
    names = ("nss", "block", "spectr")
    with pytest.raises(KeyboardInterrupt):
        checked(pair, names, steps=6, out=tmp_path)
    assert [row["verifier"] for row in CrosscheckFile.load(tmp_path).rows] == ["nss"]
    run = checked(pair, names, steps=6, out=tmp_path, command="the first")
    assert asked == ["nss", "block", "block", "spectr"]
    straight = checked(pair, names, steps=6)
    assert [_timeless(row) for row in run.rows] == [_timeless(row) for row in straight.rows]


def _timeless(row):
    """The row without what was measured by a clock."""
    timed = ("tokens_per_second", "speeds", "rounds", "seconds", "prediction_seconds", "peak_bytes")
    return {name: value for name, value in row.items() if name not in timed}


def test_the_file_holds_the_command_and_the_settings_and_refuses_others(pair, tmp_path):
    checked(pair, steps=6, out=tmp_path, command="veridraft what I typed")
    held = CrosscheckFile.load(tmp_path)
    assert held.command == "veridraft what I typed"
    assert held.settings["prompts"] == zlib.crc32(repr(tuple(map(tuple, PROMPTS))).encode())
    with pytest.raises(ValueError, match="holds a cross-check whose steps is 6, not 7"):
        checked(pair, steps=7, out=tmp_path)


def test_a_policy_for_each_verifier(pair):
    run = checked(pair, ("naive", "spectr"), {"naive": "Chain(1)", "spectr": "Iid(2, 1)"}, steps=6)
    assert [row["policy"] for row in run.rows] == ["Chain(1)", "Iid(2, 1)"]


def test_without_names_a_mapping_says_which_verifiers_run(pair, capsys):
    run = checked(pair, None, {"optimal": "Iid(2, 1)", "optimal_plan": "Iid(3, 1)", "nss": "Chain(1)"}, steps=6)
    assert [row["verifier"] for row in run.rows] == ["optimal", "nss"]
    assert "left out: optimal_plan lists every child list, 64^3 with Iid(3, 1)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"verifiers": ("magic",)}, "traversal"),
        ({"verifiers": ("nss", "nss")}, "verifiers must be distinct"),
        ({"steps": 0}, "steps must be at least 6 .* but is 0"),
        ({"seed": -1}, "seed must be at least 0, but is -1"),
        ({"temperature": -2.0}, "temperature .* is -2.0"),
        ({"top_p": 0.0}, "top_p"),
        ({"policy": "Tree(3)"}, "policy 'Tree\\(3\\)'"),
        ({"prompts": ()}, "prompts must hold"),
        ({"prompts": ([3], [900])}, "prompt token 0 is 900"),
    ],
)
def test_bad_settings_are_refused_before_any_work(pair, options, message, monkeypatch):
    monkeypatch.setattr(suite, "measure_cell", None)
    with pytest.raises(ValueError, match=message):
        crosscheck(pair, **{"prompts": PROMPTS, **options})


@pytest.mark.parametrize(
    ("text", "message"), [("{junk", "is no JSON"), ("[1]", "lacks 'command'"), ("{}", "lacks 'command'")]
)
def test_a_folder_with_another_file_of_that_name_is_refused(pair, tmp_path, text, message):
    (tmp_path / "crosscheck.jsonl").write_text(text + "\n")
    with pytest.raises(ValueError, match=message):
        checked(pair, steps=6, out=tmp_path)
    with pytest.raises(ValueError, match="cannot be made a folder"):
        checked(pair, steps=6, out=tmp_path / "crosscheck.jsonl")


@pytest.fixture
def own():
    """Verifiers of one's own: the last draw alone is tested, and one that takes the draft for the target."""

    def last(target, draft, tokens, weight=1):
        return reject_in_order(target, draft, tokens, tokens[-1:], weight)

    def swapped(target, draft, tokens, weight=1):
        return nss(draft, target, tokens, weight)

    for name, solver in (("own:last", last), ("own:swapped", swapped)):
        add_verifier(name, Verifier(name, name, "a test", top_down(solver), frozenset({DraftLaw.IID})))
    yield
    OWN.clear()


def test_a_verifier_of_ones_own_is_decided_by_its_law(own):
    sharp = tiny_pair(sharpness=2.0)
    right, wrong = checked(sharp, ("own:last", "own:swapped"), "Iid(2, 2)", steps=80).rows
    assert right["verdict"] == CellVerdict.AGREES.value
    assert abs(wrong["z_text"]) > FAR, "what is emitted is not the target's"
    assert wrong["verdict"] == CellVerdict.DISAGREES.value
