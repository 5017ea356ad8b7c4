"""The study of shapes on a real pair: sums by plain passes, gains with intervals, stopped and gone on with."""

from __future__ import annotations

import numpy as np
import pytest

from veridraft.reports import cli
from veridraft.reports.studies.real_shapes import text
from veridraft.reports.studies.real_shapes.plan import RATES, RealShapePlan
from veridraft.reports.studies.real_shapes.study import RealShapeFile
from veridraft.reports.studies.shapes.trees import VERIFIERS, shapes_at
from veridraft.reports.writing.intervals import mean_of
from veridraft.theory import get_verifier

pytest.importorskip("torch", reason="real pairs need torch")

from selector_tiny import head_pair

from veridraft.gpu.decoding.recording import PromptPair
from veridraft.gpu.trees.sampling import Sampling
from veridraft.reports.studies.real_shapes import walk

PLAN = RealShapePlan(texts=2, roots=2, spacing=3, budget=8)
RATES_MADE = np.array([0.5, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0])
GAINS = (4.0, 9.0, 7.0, 12.0)


def cells():
    """Texts at which DySpec has so many per cent more than a shape that has 2 tokens at its one root."""
    found = [{"target": 0.0, "draft": 0.6, "text": RATES, "rates": [0.5, 0.25]}]
    for number, gain in enumerate(GAINS):
        values = {shape: dict.fromkeys(VERIFIERS[shape], 2.0) for shape in ("DySpec", "Sequoia", "SpecInfer")}
        values["DySpec"]["rrsw"] = 2 * (1 + gain / 100)
        nodes = dict.fromkeys(values, 64)
        found.append({"target": 0.0, "draft": 0.6, "text": number, "roots": 1, "values": values, "nodes": nodes})
    return found


def test_a_gain_is_a_ratio_of_sums_with_its_interval_over_texts():
    texts = text.texts_of(cells(), 0.0, 0.6)
    found, expected = text.gain(texts, ("DySpec", "rrsw"), ("Sequoia", "rrsw")), mean_of(GAINS)
    assert (found.mean, found.half) == pytest.approx((expected.mean, expected.half))  # equal denominators
    assert text.gain(texts[:1], ("DySpec", "rrsw"), ("Sequoia", "rrsw")) is None
    texts[0] = {**texts[0], "values": {"DySpec": {"rrsw": 6.24}, "Sequoia": {"rrsw": 6.0}}}
    found = text.gain(texts, ("DySpec", "rrsw"), ("Sequoia", "rrsw"))
    assert found.mean == pytest.approx(100 * ((6.24 + 2.18 + 2.14 + 2.24) / 12 - 1))


def test_the_page_answers_the_claims_that_it_has_texts_for():
    settings = {"target": "T", "draft": "D", "budget": 64, "spacing": 16, "roots": 4}
    note = text.note_of(cells(), settings, "veridraft study run real-shapes")
    assert note.lead.startswith("DySpec over Sequoia, T = 0, claimed +5.2 to 62.6 %, is confirmed on this pair: +8.00")
    assert note.lead.count("claimed") == 2
    table = next(section for section in note.sections if section.title == "Target at T = 0, draft at 0.6")
    assert table.rows[0] == ("DySpec", "rrsw", "2.160", "64.0", "–")
    assert ("SpecInfer", "specinfer", "2.000", "64.0", "+8.00 ± 5.36") in table.rows
    rates = next(section for section in note.sections if section.title == "Acceptance by rank")
    assert rates.rows == (("0", "0.6", "0.500", "0.250"),)


@pytest.mark.parametrize("target", [0.0, 0.6])
def test_sums_over_roots_are_those_of_plain_passes(target):
    pair = head_pair()
    found = walk.values_of(pair, PLAN, RATES_MADE, target, 0.6, 1)
    sampling, shapes = Sampling(target, draft_temperature=0.6), shapes_at(RATES_MADE, 8)
    source = walk.TextTrees(pair, PLAN, sampling, held_out=True)
    written = source.text(1)
    roots = range(written.prompt - 1, len(written.tokens), PLAN.spacing)
    assert found["roots"] == len(roots) == 2
    for number, (shape, policy) in enumerate(shapes.items()):
        plain = [PromptPair(pair, written.tokens[: root + 1], sampling) for root in roots]
        trees = [policy.sample(one, np.random.default_rng([PLAN.seed, 1, place, number]))
                 for place, one in enumerate(plain, start=1)]  # fmt: skip
        assert found["nodes"][shape] == sum(tree.size - 1 for tree in trees)
        for verifier in VERIFIERS[shape]:
            expected = sum(float(get_verifier(verifier).law(tree).block_efficiency) for tree in trees)
            assert found["values"][shape][verifier] == pytest.approx(expected, abs=1e-4), (shape, verifier)


@pytest.fixture
def few_trees(monkeypatch):
    """Rates by rank from few trees."""
    monkeypatch.setattr("veridraft.theory.search.shapes.RANK_TREES", 6)


def test_rates_are_of_other_texts_and_of_a_law(few_trees):
    pair = head_pair()
    rates = walk.rates_of(pair, PLAN, 0.6, 0.6)
    assert rates == walk.rates_of(pair, PLAN, 0.6, 0.6) and len(rates) == 8
    assert all(0 <= rate <= 1 for rate in rates) and sum(rates) <= 1 + 1e-9
    first, other = (walk.TextTrees(pair, PLAN, Sampling(0.6), held_out=kind).text(0) for kind in (True, False))
    assert first.tokens != other.tokens


@pytest.fixture
def tiny(monkeypatch, few_trees):
    """Random networks in place of the embedded ones."""
    monkeypatch.setattr("veridraft.gpu.models.random_models.load_timing_pair", lambda *names: head_pair())
    return ["study", "run", "real-shapes", "--texts", "2", "--roots", "2", "--spacing", "3", "--budget", "8"]


def test_the_study_is_stopped_goes_on_and_answers(tiny, tmp_path, capsys, monkeypatch):
    values, calls = walk.values_of, []

    def once(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return values(*given)

    monkeypatch.setattr(walk, "values_of", once)
    words = [*tiny, "--out", str(tmp_path)]
    assert cli.main(words) == 130
    assert len(RealShapeFile.load(tmp_path).cells) == 4, "three samplings' rates, and one text"
    assert "the same command goes on" in capsys.readouterr().err
    assert cli.main(words) == 0
    printed = capsys.readouterr()
    assert len(calls) == 7 and "real-shapes 9/9" in printed.err
    assert printed.out.count("claimed +") == 4 and "Acceptance by rank" in printed.out
    assert (tmp_path / "real_shapes.html").exists()


BAD = {
    "--texts 1": "texts must be at least 2, but is 1",
    "--budget 4": "budget must be at least 8, but is 4",
    "--roots 0": "roots must be at least 1, but is 0",
    "--device nowhere": "device 'nowhere'",
    "--draft random:1B": "random:1B",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_ends_before_a_network_is_loaded(words, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["study", "run", "real-shapes", *words.split(), "--out", str(tmp_path)])
    assert stop.value.code == 2
    assert BAD[words] in capsys.readouterr().err and not list(tmp_path.iterdir())
