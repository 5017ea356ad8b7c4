"""Features are what they say: the target's own states and totals along texts in its law, drawn once and kept."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import Letters, tiny_model

from veridraft.gpu.distilling.heads import features as module
from veridraft.gpu.distilling.heads.everyday import SUBJECTS, subjects
from veridraft.gpu.distilling.heads.features import FeaturePlan, Features, draw_features, draw_shards, read_shard
from veridraft.gpu.distilling.heads.openings import Openings, further_turn
from veridraft.gpu.distilling.heads.public_text import LONGEST, SHORTEST, pieces
from veridraft.gpu.models.pairs import ModelPair

PLAN = FeaturePlan(rows=6, length=20, temperatures=(1.0, 0.5), seed=3)


class Fixed:
    """Texts that begin with given tokens, and a request of two tokens behind each end."""

    def __init__(self, *starts) -> None:
        self.starts = deque(starts)

    def first(self, rng):
        self.starts.rotate(-1)
        return self.starts[-1]

    def after_end(self, rng):
        return (60, 61)


def target_of(end=None, tokenizer=None) -> ModelPair:
    model = tiny_model(end=end)
    return ModelPair(model, model, tokenizer, "tiny", "tiny")


def drawn(target, starts, temperatures, length=24, seed=0) -> Features:
    return draw_features(target, Fixed(*starts), temperatures, length, np.random.default_rng(seed))


def test_states_totals_and_mass_are_those_of_a_plain_pass():
    target = target_of()
    found = drawn(target, [(3, 1), (4, 1, 5, 9), (2,)], [1.0, 1.0, 0.5])
    with torch.inference_mode():
        output = target.target(torch.from_numpy(found.tokens).long()[:, :-1], output_hidden_states=True)
    np.testing.assert_allclose(found.states, output.hidden_states[-1], atol=5e-3)
    np.testing.assert_allclose(found.log_totals, torch.logsumexp(output.logits, -1), atol=1e-5)
    rows = torch.softmax(output.logits.double(), -1).numpy()
    np.testing.assert_allclose(found.mass, rows[found.drawn[:, 1:]].sum(axis=0), atol=1e-4)


def test_beginnings_stand_and_what_follows_is_said_to_be_drawn():
    found = drawn(target_of(), [(3, 1), (4, 1, 5, 9), (2,)], [1.0] * 3)
    for row, start in enumerate([(3, 1), (4, 1, 5, 9), (2,)]):
        assert tuple(found.tokens[row, : len(start)]) == start
        assert not found.drawn[row, : len(start)].any() and found.drawn[row, len(start) :].all()


def test_behind_a_drawn_end_the_next_request_is_put():
    found = drawn(target_of(end=7), [(7, 3)] * 40, [1.0] * 40, length=40)
    ends = np.argwhere((found.tokens == 7) & found.drawn)
    assert len(ends) > 5
    for row, place in ends:
        assert found.tokens[row, place + 1 : place + 3].tolist() == [60, 61][: 39 - place]
        assert not found.drawn[row, place + 1 : place + 3].any() and found.drawn[row, place + 3 : place + 4].all()
    assert found.tokens[0, 2] != 60 or found.drawn[0, 2], "an end that was put asks for nothing"


def test_texts_follow_the_targets_law_at_their_temperature():
    """Chi-square of the first token after a start of four tokens, at level 1e-6 for both temperatures together."""
    target, count = target_of(), 2000
    found = drawn(target, [(3, 1, 4, 1)], [0.7, 1.0] * count, length=5)
    with torch.inference_mode():
        logits = target.target(torch.tensor([[3, 1, 4, 1]])).logits[0, -1].double()
    for offset, temperature in enumerate((0.7, 1.0)):
        row = torch.softmax(logits / temperature, 0).numpy()
        often = row * count >= 5
        seen = np.bincount(found.tokens[offset::2, 4], minlength=64)
        expected, observed = ([*part[often], part[~often].sum()] for part in (row * count, seen))
        statistic = sum((one - other) ** 2 / other for one, other in zip(observed, expected, strict=True))
        assert statistic < chi2.isf(5e-7, often.sum())


def test_shards_are_drawn_once_and_the_same_whatever_was_there(tmp_path, monkeypatch):
    target, heard = target_of(tokenizer=Letters()), []
    draw_shards(target, PLAN, tmp_path / "one", 2, lambda *said: heard.append(said))
    assert heard == [(1, 3, "held-out"), (2, 3, "shard-00000"), (3, 3, "shard-00001")]
    (tmp_path / "one" / "shard-00000.npz").unlink()
    draw_shards(target, PLAN, tmp_path / "one", 2, lambda *said: None)
    draw_shards(target, PLAN, tmp_path / "two", 1, lambda *said: None)
    first, again = (read_shard(tmp_path / name, "shard-00000") for name in ("one", "two"))
    for name in Features.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.tokens, read_shard(tmp_path / "one", "shard-00001").tokens)
    monkeypatch.setattr(module, "draw_features", lambda *_: pytest.fail("nothing is left to be drawn"))
    draw_shards(target, PLAN, tmp_path / "one", 2, lambda *said: None)
    with pytest.raises(ValueError, match="were drawn with length = 20, not 30"):
        draw_shards(target, replace(PLAN, length=30), tmp_path / "one", 2, lambda *said: None)


def test_training_and_held_out_texts_begin_apart():
    learnt, apart = set(pieces(False)), set(pieces(True))
    assert len(learnt) > 1000 and len(apart) > 100 and not learnt & apart
    assert all(SHORTEST - 1 <= len(piece) <= LONGEST for piece in learnt | apart)
    assert sorted([*subjects(False), *subjects(True)]) == sorted(SUBJECTS) and len(set(SUBJECTS)) == len(SUBJECTS)


def test_a_further_turn_is_what_stands_between_two_answers():
    target = target_of(tokenizer=Letters())
    letters = Letters()
    assert further_turn(target, "next") == tuple(letters("|u:next|a:")["input_ids"])
    ending = ModelPair(tiny_model(end=1), None, letters, "tiny", "none")
    assert further_turn(ending, "next") == tuple(letters("u:next|a:")["input_ids"])


def test_openings_are_of_every_kind():
    openings, rng, letters = Openings(target_of(tokenizer=Letters()), False), np.random.default_rng(0), Letters()
    firsts = [openings.first(rng) for _ in range(60)]
    template = tuple(letters("u:")["input_ids"])
    assert template in firsts, "the target writes the question too"
    asked = [one for one in firsts if one[:2] == template and len(one) > 2]
    assert asked and all(one[-3:] == tuple(letters("|a:")["input_ids"]) for one in asked)
    assert any(one[:2] != template for one in firsts), "public text is gone on with"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 0}, "rows must be at least 1, but is 0"),
        ({"length": 1}, "length must be at least 2, but is 1"),
        ({"temperatures": ()}, "temperatures must be above 0"),
        ({"temperatures": (1.0, 0.0)}, "temperatures must be above 0"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAN, **change)
