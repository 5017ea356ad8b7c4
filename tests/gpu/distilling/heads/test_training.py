"""Teaching a head: its own predictions unrolled as a drafter makes them, gradients, resumed runs, what it gains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import Letters, tiny_head, tiny_model

from veridraft.gpu.distilling.heads.batch import Batch
from veridraft.gpu.distilling.heads.divergence import mean_divergence
from veridraft.gpu.distilling.heads.evaluation import evaluate
from veridraft.gpu.distilling.heads.features import read_shard
from veridraft.gpu.distilling.heads.job import HeadJob, most_frequent
from veridraft.gpu.distilling.heads.levels import unrolled
from veridraft.gpu.distilling.heads.plan import HeadPlan
from veridraft.gpu.distilling.heads.training import HeadTraining
from veridraft.gpu.distilling.plan import LossWeights
from veridraft.gpu.models.heads.card import read_card
from veridraft.gpu.models.heads.file import load_head, save_head
from veridraft.gpu.models.pairs import ModelPair
from veridraft.gpu.trees.sampling import Sampling

PLAN = HeadPlan(
    tokens=48, depth=2, shards=2, rows=24, length=24, temperatures=(1.0,), steps=40, batch=4, evaluate_every=20,
    learning_rate=5e-3,
)  # fmt: skip


@pytest.fixture(scope="module")
def target():
    model = tiny_model(end=1)
    return ModelPair(model, model, Letters(), "tiny", "tiny")


@pytest.fixture(scope="module")
def finished(target, tmp_path_factory):
    out = tmp_path_factory.mktemp("head")
    job = HeadJob.prepared(target, PLAN, out)
    return job, job.run()


@pytest.mark.parametrize("layers", [1, 3])
def test_levels_are_what_a_drafter_would_say_at_that_depth(layers):
    model = tiny_model()
    head, tokens = tiny_head(model, layers), torch.randint(64, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        states = model(tokens, output_hidden_states=True).hidden_states[-1]
        levels = list(unrolled(head, tokens, states, 4))
        for level, output in enumerate(levels, start=1):
            for place in range(level - 1, 9):
                expected = below_root(head, tokens[:, : place + 1], states, level)
                torch.testing.assert_close(output.logits[:, place], expected, atol=1e-4, rtol=1e-4)


def below_root(head, tokens, states, depth):
    """Logits (B, M) after tokens of which the last ``depth`` - 1 stand below the root: one whole pass for each."""
    known = tokens.shape[1] - depth
    before = torch.cat([torch.zeros_like(states[:, :1]), states[:, :known]], dim=1)
    for end in range(known + 1, tokens.shape[1] + 1):
        output = head(tokens[:, :end], before)
        before = torch.cat([before, output.states[:, -1:]], dim=1)
    return output.logits[:, -1]


def test_the_divergence_and_its_gradient_are_those_of_autograd():
    generator = torch.Generator().manual_seed(0)
    target = torch.softmax(torch.randn(3, 7, 11, generator=generator, dtype=torch.float64), -1)[..., :8]
    logits = torch.randn(3, 7, 8, generator=generator, dtype=torch.float64).requires_grad_()
    log_rows = torch.log_softmax(logits, -1)
    kl = (target * (target.log() - log_rows)).sum(-1)
    plain = (0.3 * kl + 0.9 * (target - log_rows.exp()).abs().sum(-1) / 2).mean()
    ours = mean_divergence(target, logits, LossWeights(0.3, 0.9, 0.0))
    torch.testing.assert_close(ours, plain)
    gradients = [torch.autograd.grad(2 * loss, logits, retain_graph=True)[0] for loss in (plain, ours)]
    torch.testing.assert_close(gradients[1], gradients[0])


def test_held_out_acceptance_rises_at_every_depth_that_was_learnt(finished):
    before, _, after = finished[1]
    assert (before.step, after.step) == (0, 40)
    for depth in range(PLAN.depth):
        error = np.hypot(before.standard_errors[depth], after.standard_errors[depth])
        assert after.acceptance[depth] - before.acceptance[depth] > 5 * error
        assert after.acceptance[depth] < after.coverage


@pytest.mark.parametrize("temperature", [1.0, 0.6, 0.0])
def test_acceptance_on_held_out_texts_is_the_sum_of_least_probabilities(target, finished, temperature):
    job, _ = finished
    head, held_out = load_head(target.target, job.folder.draft), read_shard(job.features, "held-out")
    found = evaluate(head, held_out, 40, target.target.lm_head, temperature)
    sampling = Sampling(temperature)
    tokens = torch.from_numpy(held_out.tokens).long()[:, :-1]
    with torch.inference_mode():
        output = target.target(tokens, output_hidden_states=True)
        rows = sampling.rows(output.logits)[..., head.tokens]
        for depth, level in enumerate(unrolled(head, tokens, output.hidden_states[-1], 3)):
            rates = torch.minimum(rows, sampling.rows(level.logits)).sum(-1).numpy()
            counted = held_out.drawn[:, 1:].copy()
            counted[:, :depth] = False
            assert found.acceptance[depth] == pytest.approx(rates[counted].mean(), abs=2e-3 if temperature else 2e-2)
        covered = rows.sum(-1).numpy()[held_out.drawn[:, 1:]].mean()
    assert found.coverage == pytest.approx(covered, abs=2e-3 if temperature else 2e-2)
    card = read_card(job.folder.draft)
    assert card["held_out"][f"temperature {temperature:g}"]["acceptance"] == pytest.approx(found.acceptance, abs=1e-6)
    assert card["hours"] > 0 and card["settings"]["start_from"] is None


JUDGED = replace(PLAN, weights=LossWeights(0.5, 0.5, 0.2), steps=16, evaluate_every=16)


def test_a_head_that_must_deceive_a_judge_still_learns_and_judge_and_target_move_as_they_should(target, finished):
    job, _ = finished
    head, features = tiny_head(target.target), read_shard(job.features, "shard-00000")
    run = HeadTraining(head, replace(JUDGED, shards=1), features)
    judge = {name: one.clone() for name, one in run.judge.state_dict().items()}
    embeddings = target.target.get_input_embeddings().weight.clone()
    batch = Batch.of(features, run.plan.numbers(0), run.device)
    losses = run._losses(batch, torch.Generator().manual_seed(0))
    plain = HeadTraining(tiny_head(target.target), replace(PLAN, shards=1), features)
    alone = plain._losses(batch, torch.Generator().manual_seed(0))["head"]
    assert losses["judge"].item() == pytest.approx(np.log(2), abs=0.2)
    assert losses["head"].item() - alone.item() == pytest.approx(0.2 * np.log(2), abs=0.04)
    run.step()
    assert not any(torch.equal(judge[name], one) for name, one in run.judge.state_dict().items())
    assert torch.equal(embeddings, target.target.get_input_embeddings().weight)


@pytest.mark.parametrize("plan", [PLAN, JUDGED])
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(target, finished, tmp_path, plan):
    whole = finished
    if plan is JUDGED:
        other = HeadJob.prepared(target, plan, tmp_path / "whole", features=finished[0].features)
        whole = other, other.run()
    job = HeadJob.prepared(target, plan, tmp_path / "cut", features=finished[0].features)

    def killed(part, done, whole, detail):
        if part == "steps" and done == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(0.0, killed)
    assert not job.folder.is_finished()
    again = HeadJob.prepared(target, plan, tmp_path / "cut", features=finished[0].features)
    assert again.run(0.0) == whole[1]
    heads = [load_head(target.target, one.folder.draft) for one in (again, whole[0])]
    for name, weight in heads[0].own.state_dict().items():
        assert torch.equal(weight, heads[1].own.state_dict()[name])


def test_a_finished_run_is_not_done_again_and_another_goes_on_from_it(target, finished, tmp_path):
    job, evaluations = finished
    assert HeadJob.prepared(target, PLAN, job.folder.path).run(told=lambda *_: pytest.fail("no work")) == evaluations
    with pytest.raises(ValueError, match="holds a run with steps = 40, not 41"):
        HeadJob.prepared(target, replace(PLAN, steps=41), job.folder.path)
    more = replace(PLAN, steps=4, start_from=job.folder.draft)
    first = HeadJob.prepared(target, more, tmp_path, features=job.features).run()[0]
    assert first.acceptance == pytest.approx(evaluations[-1].acceptance, abs=5e-3)
    assert read_card(tmp_path / "draft")["places_learnt"] == 44 * 4 * 23
    with pytest.raises(ValueError, match="tokens is 32, but start_from holds a head with 48"):
        HeadJob.prepared(target, replace(more, tokens=32), tmp_path / "other")


def test_texts_of_other_settings_are_refused_before_any_work(target, finished, tmp_path):
    with pytest.raises(ValueError, match="were drawn with seed = 0, not 1: give another folder"):
        HeadJob.prepared(target, replace(PLAN, seed=1), tmp_path / "out", features=finished[0].features)
    assert not (tmp_path / "out").exists()


def test_a_step_moves_every_learnt_weight_and_none_of_the_targets(target, finished):
    job, _ = finished
    head = tiny_head(target.target)
    before = {name: one.clone() for name, one in target.target.state_dict().items()}
    own = {name: one.clone() for name, one in head.own.state_dict().items()}
    HeadTraining(head, replace(PLAN, shards=1), read_shard(job.features, "shard-00000")).step()
    assert not any(torch.equal(own[name], one) for name, one in head.own.state_dict().items())
    assert all(torch.equal(before[name], one) for name, one in target.target.state_dict().items())


def test_a_head_on_a_target_in_half_precision_learns_in_float32(tmp_path):
    model = tiny_model(end=1).to(torch.bfloat16)
    target = ModelPair(model, model, Letters(), "tiny", "tiny")
    job = HeadJob.prepared(target, replace(PLAN, shards=1, rows=8, steps=2, evaluate_every=2), tmp_path)
    seen = []
    job._finish = lambda run, held_out: seen.extend([run, held_out])
    before, after = job.run()
    assert after.acceptance[0] != before.acceptance[0]
    assert {one.dtype for one in seen[0].learners.weights["head"]} == {torch.float32} and model.dtype == torch.bfloat16
    HeadJob._finish(job, *seen)
    written = load_head(model, job.folder.draft)
    assert written.projection.weight.dtype == torch.bfloat16
    found = evaluate(written, seen[1], 2, model.lm_head, 0.6).acceptance[0]
    assert read_card(job.folder.draft)["held_out"]["temperature 0.6"]["acceptance"][0] == pytest.approx(found, abs=1e-9)


def test_a_loss_that_is_not_finite_stops_the_run(target, finished):
    head = tiny_head(target.target)
    with torch.no_grad():
        head.projection.weight[0] = float("nan")
    with pytest.raises(FloatingPointError, match="the loss of step 0 is nan"):
        HeadTraining(head, replace(PLAN, shards=1), read_shard(finished[0].features, "shard-00000")).step()


def test_a_head_that_is_written_says_what_was_taught_however_its_weights_differ_in_size(target, finished, tmp_path):
    """A projection begins with entries of 1 and of some ten in a row, beside which what is learnt is small."""
    head = tiny_head(target.target)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        weight = head.projection.weight
        weight += 0.02 * torch.randn(weight.shape, generator=generator)
        weight[:, weight.shape[0] :] += 14 * torch.eye(weight.shape[0])
    save_head(head, tmp_path / "head", {})
    written = load_head(target.target, tmp_path / "head")
    for name, one in head.own.state_dict().items():
        torch.testing.assert_close(written.own.state_dict()[name], one, rtol=1e-3, atol=1e-6)
    held_out = read_shard(finished[0].features, "held-out")
    rates = [evaluate(one, held_out).acceptance for one in (head, written)]
    assert rates[1] == pytest.approx(rates[0], abs=2e-3)


def test_the_most_frequent_tokens_are_those_of_the_largest_mass():
    assert most_frequent([0.1, 0.5, 0.0, 0.5, 0.3], 3) == [1, 3, 4]
    assert most_frequent([0.0] * 5, 2) == [0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 0}, "layers must be at least 1, but is 0"),
        ({"layers": 4}, "layers is 4, but the target has 3 layers"),
        ({"tokens": 65}, "tokens is 65, but the target has 64 tokens"),
        ({"length": 2000}, "length is 2000, but the target has 1024 positions"),
        ({"length": 1}, "length must be at least 2, but is 1"),
        ({"batch": 49}, "batch is 49, but there are only 48 texts"),
        ({"fade": 0.0}, r"fade must lie in \(0, 1\], but is 0.0"),
        ({"noise": 1.0}, r"noise must lie in \[0, 1\), but is 1.0"),
        ({"learning_rate": 1.0}, r"learning_rate must lie in \(0, 1\)"),
        ({"seed": -1}, "seed must be at least 0, but is -1"),
    ],
)
def test_bad_input_is_refused_before_any_work(target, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        HeadJob.prepared(target, replace(PLAN, **change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_target_without_a_tokenizer_is_refused(target, tmp_path):
    with pytest.raises(ValueError, match="has no tokenizer"):
        HeadJob.prepared(replace(target, tokenizer=None), PLAN, tmp_path / "out")
