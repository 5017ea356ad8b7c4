"""A whole run on a tiny pair: taught, killed, gone on with, evaluated, refused elsewhere, asked in the decoder."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import tiny_pair
from selector_tiny import PLAN, head_pair, layer_pair

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.drafting.selected import Selected
from veridraft.gpu.decoding.recording import PromptPair
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.selecting.choices import apply_static, static
from veridraft.gpu.selecting.data.examples import Examples
from veridraft.gpu.selecting.job import SelectorJob
from veridraft.gpu.selecting.network import Inputs
from veridraft.gpu.selecting.plan import HELD_OUT, LEARN
from veridraft.gpu.selecting.scores import ORACLE, SELECTOR, STATIC, Evaluation
from veridraft.gpu.selecting.selector import CARD, Selector
from veridraft.gpu.selecting.training import SelectorTraining
from veridraft.theory import certify


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run, and its pair."""
    pair, out = head_pair(), tmp_path_factory.mktemp("selector")
    SelectorJob.prepared(pair, PLAN, out, "veridraft selector train").run()
    return pair, out


@pytest.fixture(scope="module")
def examples(finished):
    return Examples.read(finished[1] / "roots", PLAN.roots, PLAN.machine, LEARN)


def training(examples, number=1, **changed):
    plan, choice = replace(PLAN.training, **changed), PLAN.machine.choice
    return SelectorTraining(plan, examples, examples.of(number), choice, PLAN.roots.temperatures)


def test_a_restored_training_ends_with_the_same_weights(examples):
    whole, first = training(examples), training(examples)
    losses = [whole.step() for _ in range(30)]
    for _ in range(13):
        first.step()
    second = training(examples)
    second.restore(kept(first.state()))
    again = [second.step() for _ in range(17)]
    assert again == losses[13:] and second.best_step == whole.best_step
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(weight, second.network.state_dict()[name])
    assert losses[0] != losses[-1]


def test_a_network_that_has_learnt_nothing_chooses_the_baseline_of_each_sampling(examples):
    run = training(examples)
    chosen = run.network.eval()(run.inputs).argmax(dim=1).numpy()
    best = static(examples.of(1), np.ones(18, dtype=bool))
    np.testing.assert_array_equal(chosen, apply_static(best, examples.samplings))


def kept(state):
    """The state as a checkpoint on disk gives it back."""
    file = BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_the_loss_is_that_of_the_paper(examples):
    run = training(examples, dropout=0.0, regret=2.0, worst=0.25)
    rows = torch.arange(8)
    with torch.no_grad():
        found = float(run.loss(rows))
        mixed = torch.softmax(run.network.eval()(run.inputs.some(rows)), dim=1).numpy()
    labels = examples.of(1)
    seconds = labels.seconds + PLAN.machine.choice
    seconds[:, [0, 9]] += labels.draft_pass[:, None]  # (1, 0, 0) and (2, 0, 0) draft nothing
    tokens = np.nan_to_num(labels.tokens)
    rates = (mixed * tokens[:8]).sum(axis=1) / (mixed * seconds[:8]).sum(axis=1)
    gains = np.log(rates / run.base.numpy()[:8])
    worst = np.sort(np.maximum(-gains, 0))[::-1][:2]
    assert found == pytest.approx(-gains.mean() + 2 * (worst**2).mean(), rel=1e-4)


def test_what_follows_from_a_state_is_learnt(examples):
    """Where a state tells which of two actions is much the best, the network finds out."""
    first = examples.states["draft_root"][:, 0]
    best = np.where(first > np.median(first), 5, 13)
    labels = examples.of(1)
    labels.by_tree[...] = 1 + 3 * (np.arange(18) == best[:, None])[:, None]
    run = SelectorTraining(replace(PLAN.training, dropout=0.0), examples, labels, 0.0, PLAN.roots.temperatures)
    before = run.loss(run.learnt).item()
    for _ in range(150):
        run.step()
    rates = labels.tokens[np.arange(18), best] / labels.seconds[np.arange(18), best]
    gains = np.log(rates / run.base.numpy())[run.learnt]
    assert gains.mean() > 0.1 and before > 0  # nothing below the baseline is in the best loss
    assert run.loss(run.learnt).item() == pytest.approx(-gains.mean(), abs=0.02)
    chosen = run.network.eval()(run.inputs.some(run.learnt)).argmax(dim=1)
    assert (chosen.numpy() == best[run.learnt]).all()


def test_a_killed_run_goes_on_to_the_same_networks(finished, tmp_path, monkeypatch):
    pair, whole = finished
    job = SelectorJob.prepared(pair, PLAN, tmp_path, data=whole / "roots")
    plain, calls = SelectorTraining.step, []

    def stops(run):
        calls.append(1)
        if len(calls) == 45:
            raise KeyboardInterrupt
        return plain(run)

    monkeypatch.setattr(SelectorTraining, "step", stops)
    with pytest.raises(KeyboardInterrupt):
        job.run(checkpoint_seconds=0)
    assert {path.name for path in tmp_path.glob("*.checkpoint")} == {"specinfer.checkpoint"}
    SelectorJob.prepared(pair, PLAN, tmp_path, data=whole / "roots").run()
    assert len(calls) == 45 + 90 - 44 and not list(tmp_path.glob("*.checkpoint"))
    for verifier in PLAN.roots.verifiers:
        one, other = (torch.load(place / f"{verifier}.pt", weights_only=True) for place in (whole, tmp_path))
        assert all(torch.equal(one[name], other[name]) for name in one)
    Evaluation(tmp_path)  # finds the roots that another folder holds


def test_another_pair_another_plan_and_other_features_are_refused(finished, tmp_path):
    pair, out = finished
    assert Selector.load(out, "specinfer", pair).verifier == "specinfer"
    with pytest.raises(ValueError, match="the selector was made for another pair: its weights are "):
        Selector.load(out, "specinfer", head_pair(seed=1))
    with pytest.raises(ValueError, match=r"the selector was made for another pair: its draft are 'head'"):
        Selector.load(out, "specinfer", layer_pair())
    with pytest.raises(ValueError, match="'spectr' has no selector"):
        Selector.load(out, "spectr", pair)
    with pytest.raises(ValueError, match="was made with plan = "):
        SelectorJob.prepared(pair, replace(PLAN, training=replace(PLAN.training, steps=31)), out)
    with pytest.raises(ValueError, match="holds no selector"):
        Selector.load(tmp_path, "specinfer", pair)
    card = json.loads((out / CARD).read_text())
    card["schema"]["scalars"].append("the weather")
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(ValueError, match="of other features"):
        Selector.load(tmp_path, "specinfer", pair)


def test_the_decoder_chooses_as_the_network_does_at_recorded_roots(finished):
    pair, out = finished
    selector = Selector.load(out, "specinfer", pair)
    with torch.no_grad():  # a tiny network that was hardly taught may choose one action everywhere
        selector.network.output.weight.normal_(generator=torch.Generator().manual_seed(0))
    held_out = Examples.read(out / "roots", PLAN.roots, PLAN.machine, HELD_OUT)
    recorded = selector.pick(Inputs.of(held_out))
    texts = json.loads((out / "roots" / "texts-held-out-0.json").read_text())
    sampling = PLAN.roots.samplings[0]
    for place, text in enumerate(texts):
        for number, root in enumerate(range(text["prompt"] - 1, len(text["tokens"]), PLAN.roots.spacing)):
            known = PromptPair(pair, text["tokens"][: root + 1], sampling).known(())
            row = np.flatnonzero(held_out.texts == 2 * place)[number]
            assert selector.choose(pair, [known]) == [PLAN.roots.grid.policies[recorded[row]]]
    assert len(set(recorded)) > 1
    requests = [Request([3, 1, 4], 8, seed) for seed in range(2)]
    written = BatchDecoder(pair, "specinfer", Selected(selector), sampling).decode(requests)
    assert all(len(one.tokens) == 8 and one.block_efficiency >= 1 for one in written)


def test_what_a_selector_chooses_is_certified_on_a_small_pair(tmp_path):
    """Trained on a pair of five tokens: at every root its own choice draws a tree of exactly the target's law."""
    small = tiny_pair(vocabulary_size=5)
    job = SelectorJob.prepared(small, replace(PLAN, training=replace(PLAN.training, steps=10)), tmp_path)
    job.run()
    selected = Selected(Selector.load(tmp_path, "traversal", small))
    with torch.no_grad():
        selected.chooser.network.output.weight.normal_(generator=torch.Generator().manual_seed(1))
    rows, chosen = PromptPair(small, [1, 2]), set()
    for context in [(), *((token,) for token in range(5))]:
        action = selected.at(small, rows.known(context))
        if action.tree_count(5) <= 5**4:
            chosen.add(action.name)
            assert certify("traversal", action, rows.rationalised(20), context=context).total_variation == 0
    assert chosen


def test_the_evaluation_counts_what_it_says(finished):
    _, out = finished
    found = Evaluation(out)
    assert found.settings()["cells"] == [["block"], ["specinfer"], ["traversal"]]
    record = json.loads(json.dumps(found.measure("specinfer"), allow_nan=False))
    ways = record["ways"]
    assert ways[STATIC]["gain"] == 0 and ways[STATIC]["gain_half"] == 0
    rates = {name: way["tokens_per_second"] for name, way in ways.items()}
    assert rates[ORACLE] >= max(rates[name] for name in (STATIC, "root", "chain"))
    assert record["texts"] == 4 and record["roots"] == len(found.held_out)
    network, labels = Selector.load(out, "specinfer"), found.held_out.of(1)
    chosen, places = np.array(network.pick(Inputs.of(found.held_out))), np.arange(len(found.held_out))
    seconds = labels.seconds[places, chosen] + PLAN.machine.choice
    seconds += np.where([PLAN.roots.grid.policies[one].depth == 0 for one in chosen], labels.draft_pass, 0)
    assert ways[SELECTOR]["tokens_per_second"] == pytest.approx(labels.tokens[places, chosen].sum() / seconds.sum())
    assert sum(share for _, share in record["chosen"]) <= 1 + 1e-12
    free = labels.tokens[places, chosen].sum() / (seconds - PLAN.machine.choice + record["worth"]).sum()
    assert free == pytest.approx(rates[STATIC])
    for name, rate in rates.items():
        tokens, seconds = np.sum(record["by_text"][name], axis=0)
        assert tokens / seconds == pytest.approx(rate) and len(record["by_text"][name]) == 4
    assert record["samplings"] == [0, 1, 0, 1] and record["actions"][STATIC].keys() == {"0", "1"}
    longest = np.sum(record["lengths"]["2"], axis=0)
    assert longest[0] == record["roots"] and (np.diff(longest) >= 0).all()
    number = PLAN.roots.grid.triples.index((2, 0, 2))
    assert longest[2] == pytest.approx(labels.tokens[:, number].sum())
