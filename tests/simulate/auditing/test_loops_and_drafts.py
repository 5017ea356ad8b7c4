"""Loops whose drafts are bad, stale, searched for or told wrongly, and loops whose rows are not those of the judge."""

import numpy as np
import pytest
from coin_laws import Thrown, first_departure

from veridraft.simulate import Trait, Verdict, audit

SIZE, DEPTH = 3, 2
TARGET = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]])
DRAFT = np.array([[0.45, 0.5, 0.05], [0.4, 0.35, 0.25], [0.6, 0.2, 0.2]])


class Rows:
    """What knows the target's rows behind a context, and perhaps the draft's."""

    vocabulary_size = SIZE

    def __init__(self, target_row, draft_row=None):
        self.target_row = target_row
        if draft_row:
            self.draft_row = draft_row


def last(context):
    return context[-1] if context else 0


def model_row(context):
    return TARGET[last(context)]


def model_draft(context):
    return DRAFT[last(context)]


def penalised(row, context):
    """A row with every token's weight halved for each time it stands in the context."""
    weights = row * 0.5 ** np.bincount(np.array(context, dtype=int), minlength=SIZE)
    return weights / weights.sum()


def penalised_row(context):
    return penalised(TARGET[last(context)], context)


def verified(coins, row, text, tokens, told):
    """Token-wise verification behind a text: the tokens that are kept, and the one behind them."""
    kept = []
    for x, q in zip(tokens, told, strict=True):
        p = row((*text, *kept))
        if coins.flip(min(1.0, p[x] / q[x])):
            kept.append(x)
            continue
        return [*kept, coins.pick(np.maximum(p - q, 0.0))]
    return [*kept, coins.pick(row((*text, *kept)))]


def loop(row, draft_row, length=4):
    """Rounds of two drafts, from rows ``draft_row(text, block, cache)``, told as they were drawn from.

    The cache holds every token that was ever drafted.
    """

    def run(coins):
        text, cache = [], []
        while len(text) < length:
            block, told = [], []
            for _ in range(DEPTH):
                told.append(draft_row(tuple(text), tuple(block), tuple(cache)))
                block.append(coins.pick(told[-1]))
                cache.append(block[-1])
            text += verified(coins, row, text, block, told)
        return text[:length]

    return run


def counted(tokens):
    """A draft that likes what its cache holds."""
    weights = 1.0 + np.bincount(np.array(tokens, dtype=int), minlength=SIZE)
    return weights / weights.sum()


TRAPS = {
    "the draft has no penalty": (penalised_row, lambda text, block, cache: DRAFT[last((*text, *block))]),
    "the draft's history lacks the newest token": (
        penalised_row, lambda text, block, cache: penalised(DRAFT[last((*text, *block))], (*text[:-1], *block)),
    ),
    "the draft's cache keeps rejected tokens": (model_row, lambda text, block, cache: counted(cache)),
    "the draft's cache has a hole behind every text": (
        model_row, lambda text, block, cache: counted((*text[:-1], *block)),
    ),
    "the draft sees every token twice": (model_row, lambda text, block, cache: counted((*text, *text, *block))),
    "the draft never sees the text": (model_row, lambda text, block, cache: counted(block)),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_a_worse_draft_told_as_it_was_drawn_from_is_no_defect(name):
    row, draft_row = TRAPS[name]
    assert first_departure(loop(row, draft_row, 3), row, SIZE, 3) is None
    run = loop(row, draft_row)
    result = audit(lambda rng: run(Thrown(rng)), "generate", target=Rows(row), length=4, trials=2_500)
    assert result.verdict is Verdict.NO_DEFECT_FOUND and not result.findings


def stale_target(text, block, cache):
    return DRAFT[last((*text, *block))]


def test_a_stale_history_on_the_targets_side_is_one():
    """The twin of the trap: the same history, in the rows that are verified with."""

    def stale(context):
        return penalised(TARGET[last(context)], context[:-1])

    run = loop(stale, stale_target)
    first = first_departure(loop(stale, stale_target, 3), penalised_row, SIZE, 3)
    result = audit(lambda rng: run(Thrown(rng)), "generate", target=Rows(penalised_row), length=4, trials=60_000)
    assert result.verdict is Verdict.LOSSY and result.findings[0].departs == first == 2


def searched(width, as_drawn):
    """One round whose block is the best of a beam search, told as drawn from the draft's rows or as certain."""

    def run(coins):
        block = best_block(width)
        told = [DRAFT[last(block[:place])] if as_drawn else np.eye(SIZE)[x] for place, x in enumerate(block)]
        return verified(coins, model_row, (), block, told)

    return run


def best_block(width):
    beams = [((), 1.0)]
    for _ in range(DEPTH):
        grown = [((*block, x), mass * DRAFT[last(block)][x]) for block, mass in beams for x in range(SIZE)]
        beams = sorted(grown, key=lambda beam: -beam[1])[:width]
    return beams[0][0]


def test_beam_search_is_not_the_likeliest_token_after_token_here():
    assert best_block(1) != best_block(2)


@pytest.mark.parametrize("width", [1, 2])
def test_the_best_of_a_search_is_lossy_when_told_as_drawn_and_named_where_the_drafts_rows_are_known(width):
    run = searched(width, as_drawn=True)
    first = first_departure(run, model_row, SIZE, 3)
    options = {"form": "generate", "length": 3, "trials": 40_000}
    result = audit(lambda rng: run(Thrown(rng)), target=Rows(model_row), **options)
    assert result.verdict is Verdict.LOSSY and result.findings[0].departs == first
    assert result.findings[0].mechanism == ""
    known = audit(lambda rng: run(Thrown(rng)), target=Rows(model_row, model_draft), **options)
    right = {1: "(argmax_told_as_sampled;", 2: "(beam_told_as_sampled;"}[width]
    assert right in known.findings[0].mechanism and "; or: " not in known.findings[0].mechanism
    passed = searched(width, as_drawn=False)
    result = audit(lambda rng: passed(Thrown(rng)), target=Rows(model_row), **options | {"trials": 3_000})
    assert result.verdict is Verdict.NO_DEFECT_FOUND


# a near-tie: one row of the verifying pass has its two best tokens the other way round

ALONE = np.array([[23.625, 23.5, 20.0], [20.0, 22.5, 22.0], [21.0, 20.0, 23.0]])
TOGETHER = ALONE.copy()
TOGETHER[0, 0] = 23.375


def softmax(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def greedy(logits):
    return lambda context: np.eye(SIZE)[logits[last(context)].argmax()]


def sampled(logits):
    return lambda context: softmax(logits[last(context)])


def matched(row, length=4):
    """Exact-match verification: the pass's own token is emitted, and drafts are kept that equal it."""

    def run(coins):
        text = []
        while len(text) < length:
            block = [(last(text) + 1) % SIZE, (last(text) + 2) % SIZE]
            for x in (*block, None):
                text.append(coins.pick(row(text)))
                if text[-1] != x:
                    break
        return text[:length]

    return run


def asked(row, judge, **options):
    run = matched(row)
    words = {"form": "generate", "target": Rows(judge), "length": 4, "trials": 60_000} | options
    result = audit(lambda rng: run(Thrown(rng)), **words)
    return result.verdict, {seen.trait: seen.detail for seen in result.observations}


def test_a_near_tie_at_temperature_0_is_told_from_a_wrong_rule_by_the_rows_of_the_pass():
    verdict, seen = asked(greedy(TOGETHER), greedy(ALONE))
    assert verdict is Verdict.LOSSY and "--second-target" in seen[Trait.NEAR_TIE]
    verdict, seen = asked(greedy(TOGETHER), greedy(ALONE), second_target=Rows(greedy(TOGETHER)))
    assert verdict is Verdict.LOSSY and Trait.SECOND_ROWS in seen and Trait.NEAR_TIE not in seen
    assert asked(greedy(TOGETHER), greedy(TOGETHER), trials=3_000)[0] is Verdict.NO_DEFECT_FOUND


def test_rows_that_differ_by_little_are_told_from_a_wrong_rule_above_temperature_0_too():
    verdict, seen = asked(sampled(TOGETHER), sampled(ALONE))
    assert verdict is Verdict.LOSSY and "--second-target" in seen[Trait.NEAR_ROWS]
    verdict, seen = asked(sampled(TOGETHER), sampled(ALONE), second_target=Rows(sampled(TOGETHER)))
    assert verdict is Verdict.LOSSY and Trait.SECOND_ROWS in seen and Trait.NEAR_ROWS not in seen
    other = Rows(sampled(ALONE + np.array([0.0, 1.0, 0.0])))
    verdict, seen = asked(sampled(TOGETHER), sampled(ALONE), second_target=other)
    assert Trait.SECOND_ROWS not in seen and Trait.NEAR_ROWS in seen


def test_a_rule_that_is_far_off_is_not_excused_by_its_rows():
    far = np.roll(ALONE, 1, axis=1)
    verdict, seen = asked(sampled(far), sampled(ALONE))
    assert verdict is Verdict.LOSSY and not {Trait.NEAR_ROWS, Trait.NEAR_TIE} & set(seen)
