"""Distilled drafts: samples in the target's law, losses by their formulas, acceptance that rises, and every refusal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import tiny_model

from veridraft.gpu.distilling.distilling import Distillation, distil
from veridraft.gpu.distilling.losses import Judge, RowPairs
from veridraft.gpu.distilling.plan import DistilPlan, Embeddings, LossWeights, StudentShape
from veridraft.gpu.distilling.samples import SamplePlan, Samples, draw_samples
from veridraft.gpu.distilling.students import make_student, narrowed
from veridraft.gpu.models.pairs import load_alone, load_pair
from veridraft.gpu.trees.sampling import Sampling

PLAN = DistilPlan(
    sequences=128,
    held_out=32,
    length=24,
    shard=64,
    student=StudentShape(from_layers=(0, 2)),
    steps=30,
    batch=16,
    learning_rate=0.01,
    evaluate_every=15,
)
SHAPES = {
    "layers of the target": StudentShape(from_layers=(0, 2)),
    "shared embeddings": StudentShape(from_layers=(0, 2), embeddings=Embeddings.SHARED),
    "a narrower Llama": StudentShape(layers=1),
    "a random Llama": StudentShape(layers=1, width=32, embeddings=Embeddings.RANDOM),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("tiny")
    tiny_model().save_pretrained(place)
    return str(place)


@pytest.fixture(scope="module")
def target(folder):
    return load_alone(folder)


@pytest.fixture(scope="module")
def finished(target, tmp_path_factory):
    out = tmp_path_factory.mktemp("distilled")
    return out, distil(target, PLAN, out)


def test_held_out_acceptance_rises_far_beyond_its_error(finished):
    before, _, after = finished[1]
    assert (before.step, after.step) == (0, 30)
    assert after.acceptance - before.acceptance > 8 * np.hypot(before.standard_error, after.standard_error)
    assert after.kl < before.kl


def test_a_pair_loads_with_the_draft_and_accepts_as_often_as_the_run_says(folder, finished):
    out, evaluations = finished
    pair = load_pair(folder, str(out / "draft"))
    with np.load(out / "samples" / "held-out.npz") as held:
        tokens, given = torch.from_numpy(held["tokens"]).long(), held["given"]
    assert (given == 1).all()
    with torch.inference_mode():
        rows = [torch.softmax(model(tokens[:, :-1]).logits.double(), -1) for model in (pair.target, pair.draft)]
    accepted = float(torch.minimum(*rows).sum(-1).mean())
    assert evaluations[-1].acceptance == pytest.approx(accepted, abs=1e-6)


def test_a_finished_run_is_not_done_again_and_another_one_is_refused(target, finished):
    out, evaluations = finished
    assert distil(target, PLAN, out, told=lambda *_: pytest.fail("no work is left")) == evaluations
    with pytest.raises(ValueError, match="holds a run with steps = 30, not 60"):
        distil(target, replace(PLAN, steps=60), out)


@pytest.mark.parametrize("name", SHAPES)
def test_every_kind_of_student_learns(target, tmp_path, name):
    plan = replace(PLAN, student=SHAPES[name], sequences=16, held_out=16, steps=8, evaluate_every=8)
    before, after = distil(target, plan, tmp_path)
    assert after.kl < before.kl
    draft = load_alone(str(tmp_path / "draft")).target
    same = torch.equal(draft.get_input_embeddings().weight, target.target.get_input_embeddings().weight)
    assert same == (SHAPES[name].embeddings is Embeddings.SHARED)


def test_micro_batches_make_the_same_step(target):
    samples = draw_samples(target.target, [(1,)] * 16, 12, Sampling(), 0)
    plan = replace(PLAN, sequences=16, weights=LossWeights(1, 1, 0.5))
    runs = []
    for size in (16, 5):
        run = Distillation(target.target, make_student(target.target, plan.student, 0), plan, samples, size)
        losses = [run.step() for _ in range(2)]
        runs.append((losses, run.student.state_dict()["lm_head.weight"]))
    np.testing.assert_allclose(runs[0][0], runs[1][0], rtol=1e-5)
    torch.testing.assert_close(runs[0][1], runs[1][1], atol=1e-4, rtol=1e-3)


def test_samples_follow_the_targets_law():
    """Chi-square of the first token after a start of four tokens, at level 1e-6."""
    model, start, count = tiny_model(), (3, 1, 4, 1), 4000
    drawn = draw_samples(model, [start] * count, 5, Sampling(0.8), seed=7)
    assert (drawn.tokens[:, :4] == start).all() and drawn.drawn().sum() == count
    with torch.inference_mode():
        row = torch.softmax(model(torch.tensor([start])).logits[0, -1].double() / 0.8, 0).numpy()
    often = row * count >= 5
    seen = np.bincount(drawn.tokens[:, 4], minlength=64)
    expected, observed = ([*part[often], part[~often].sum()] for part in (row * count, seen))
    statistic = sum((one - other) ** 2 / other for one, other in zip(observed, expected, strict=True))
    assert statistic < chi2.isf(1e-6, often.sum())


def test_prompts_of_different_lengths_are_drawn_together():
    model, starts = tiny_model(), [(3, 1, 4, 1, 5), (9, 2), (7,)]
    cold = draw_samples(model, starts, 12, Sampling(0.0), seed=0)
    assert cold.given.tolist() == [5, 2, 1]
    for row, start in enumerate(starts):
        ids = torch.tensor([start])
        text = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_length=12)
        assert cold.tokens[row].tolist() == text[0].tolist()
    assert cold.drawn().sum(axis=1).tolist() == [7, 10, 11]


def test_held_out_samples_begin_with_prompts_of_their_own():
    plan = SamplePlan(tuple((n,) for n in range(20)), 40, 8, 3, 1.0, 16, 0)
    assert plan.shards() == {"held-out": 8, "shard-00000": 16, "shard-00001": 16, "shard-00002": 8}
    model = tiny_model()
    assert set(plan.draw(model, "held-out").tokens[:, 0]) == {18, 19}
    rest = np.concatenate([plan.draw(model, f"shard-0000{n}").tokens[:, 0] for n in range(3)])
    assert set(rest) == set(range(18))


def test_the_losses_are_what_they_are_called():
    logits = torch.randn(2, 6, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = RowPairs.of_logits(logits[0], logits[1], torch.zeros(6, dtype=torch.long))
    target, student = (torch.softmax(one, -1).numpy() for one in logits)
    np.testing.assert_allclose(rows.tv(), 1 - np.minimum(target, student).sum(1), atol=1e-6)
    np.testing.assert_allclose(rows.kl(), (target * np.log(target / student)).sum(1), atol=1e-5)


def judged():
    logits = torch.randn(2, 40, 9, generator=torch.Generator().manual_seed(0))
    student = logits[1].requires_grad_()
    torch.manual_seed(0)
    return Judge(torch.randn(9, 5), width=16), RowPairs.of_logits(logits[0], student, torch.arange(40) % 9), student


def test_the_judge_and_the_student_each_learn_from_their_own_loss_only():
    judge, rows, student = judged()
    judge.student_loss(rows.student, rows.last).sum().backward(retain_graph=True)
    assert student.grad.abs().sum() > 0 and all(one.grad is None for one in judge.parameters())
    student.grad = None
    judge.own_loss(rows.target, rows.student, rows.last).sum().backward()
    assert student.grad is None and all(one.grad is not None for one in judge.parameters())


def test_a_judge_learns_to_tell_rows_apart_and_a_student_to_deceive_it():
    judge, rows, student = judged()
    optimizer = torch.optim.Adam(judge.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        judge.own_loss(rows.target, rows.student, rows.last).mean().backward(retain_graph=True)
        optimizer.step()
    chance = np.log(2)
    assert judge.own_loss(rows.target, rows.student, rows.last).mean().item() < 0.75 * chance
    before = judge.student_loss(rows.student, rows.last).mean()
    student.grad = None
    before.backward()
    moved = RowPairs.of_logits(rows.log_target, student.detach() - 5 * student.grad, rows.last)
    assert judge.student_loss(moved.student, moved.last).mean().item() < before.item()


def test_a_judge_of_rows_of_some_tokens_is_that_of_rows_which_are_zero_elsewhere():
    judge, rows, _ = judged()
    some = torch.tensor([1, 4, 6])
    narrow = Judge(judge.embeddings, some, width=16)
    narrow.layers = judge.layers
    wide = torch.zeros(40, 9).index_copy(1, some, rows.target[:, some])
    torch.testing.assert_close(narrow(rows.target[:, some], rows.last), judge(wide, rows.last))


def test_batches_take_every_sequence_once_in_a_pass():
    for start in (0, 8):
        seen = np.concatenate([PLAN.numbers(start + step) for step in range(8)])
        assert sorted(seen) == list(range(128))
    assert PLAN.numbers(0).tolist() != PLAN.numbers(8).tolist()


def test_narrowed_weights_keep_products_as_far_as_their_rank_allows():
    weights = torch.randn(20, 3) @ torch.randn(3, 8)
    small = narrowed(weights, 3)
    torch.testing.assert_close(small @ small.T, weights @ weights.T, atol=1e-4, rtol=1e-4)
    assert narrowed(weights, 8) is weights


def test_a_loss_that_is_not_finite_stops_the_run(target):
    samples = Samples(np.ones((16, 4), np.int32), np.ones(16, np.int32))
    student = make_student(target.target, PLAN.student, 0)
    with torch.no_grad():
        student.lm_head.weight[0] = float("nan")
    with pytest.raises(FloatingPointError, match="the loss of step 0 is nan"):
        Distillation(target.target, student, replace(PLAN, sequences=16), samples).step()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, but is 0"),
        ({"batch": 129}, "batch is 129, but there are only 128 sequences"),
        ({"learning_rate": 0.0}, r"learning_rate must lie in \(0, 1\), but is 0.0"),
        ({"seed": -1}, "seed must be at least 0, but is -1"),
        ({"held_out": 0}, "held_out must be at least 1, but is 0"),
        ({"temperature": 0.0}, "temperature must be above 0, but is 0.0"),
        ({"length": 2000}, "length is 2000, but the target has 1024 positions"),
        ({"prompts": ("words",)}, "has no tokenizer"),
        ({"prompts": ([3, 99],)}, "prompt token 1 is 99"),
        ({"prompts": ([3] * 24,)}, "length is 24, but prompt 0 has 24 tokens already"),
        ({"student": {"layers": 0}}, "layers must be at least 1, but is 0"),
        ({"student": {"layers": 2, "from_layers": (0,)}}, "layers is 2, but the student is made of target layers"),
        ({"student": {"from_layers": (2, 0)}}, r"distinct and ascending, but are \(2, 0\)"),
        ({"student": {"from_layers": (0, 3)}}, "names layer 3; the target's layers are 0 to 2"),
        ({"student": {"from_layers": (0,), "embeddings": Embeddings.RANDOM}}, "target or shared"),
        ({"student": {"width": 24}}, "width must be a multiple of 16, the width of a head, but is 24"),
        ({"student": {"width": 64}}, "embeddings 'target' of a target of width 32 do not fit width 64"),
        ({"student": {"width": 16, "embeddings": Embeddings.SHARED}}, "'shared' of a target of width 32"),
        ({"weights": {"kl": -1}}, "weight kl must be finite and at least 0, but is -1"),
        ({"weights": {"tv": 0, "kl": 0}}, "all 0: there is nothing to learn"),
    ],
)
def test_bad_input_is_refused_before_any_work(target, tmp_path, change, message):
    kinds = {"student": StudentShape, "weights": LossWeights}
    with pytest.raises(ValueError, match=message):
        made = {name: kinds[name](**value) if name in kinds else value for name, value in change.items()}
        distil(target, replace(PLAN, **made), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_out_that_is_a_file_is_refused(target, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is not a folder"):
        distil(target, PLAN, tmp_path / "file")
