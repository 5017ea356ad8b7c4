"""Exact cases of packages of the Python index: one draft or two, rows in small fractions, the package's own code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from veridraft.simulate.adapters.torch_tools import seeded, tensor, token_list
from veridraft.simulate.batches.rows import draw
from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.trees import Context

from .audited import ExactCase
from .audited_models import RowModel, prompt
from .package_chains import economize_typical
from .package_loops import csaq_round

TARGET = (Fraction(5, 10), Fraction(3, 10), Fraction(2, 10))
DRAFT = (Fraction(4, 20), Fraction(5, 20), Fraction(11, 20))
"""The rows of most cases: tokens 0 and 1 are always accepted, token 2 with probability 4/11."""

TOKENS = ("token 0", "token 1", "token 2")


def row(values: Sequence[Fraction]) -> Any:
    """Fractions as float64."""
    return np.array([float(value) for value in values])


def drawn(values: Sequence[Fraction], rng: np.random.Generator) -> int:
    """A token drawn from Fractions."""
    return int(draw(row(values)[None], rng)[0])


def _same_row(values: Sequence[Fraction], context: Context) -> Any:
    """One row at every context."""
    return row(values)


def _one_draft(decide: Callable[[int], int]) -> Callable[[np.random.Generator], int]:
    """The first token after one draft from DRAFT, under global generators that are seeded for it."""

    def run(rng: np.random.Generator) -> int:
        token = drawn(DRAFT, rng)
        with seeded(rng):
            return decide(token)

    return run


def rotalabs_sample() -> ExactCase:
    """``rejection_sample`` of rotalabs-accel: the draft's row is taken to be its one entry."""
    function = import_module("rotalabs_accel.speculative.sampling").rejection_sample
    target, draft = tensor(row(TARGET), "float32"), tensor(row(DRAFT), "float32")

    def decide(token: int) -> int:
        return int(function(target[token], draft[token], tensor(token, "int64"), target.log())[1])

    return ExactCase(
        "One draft, target (1/2, 3/10, 1/5), drafter (1/5, 1/4, 11/20). The residual is the target less the drafter's "
        "probability of the rejected token alone: token 2 is rejected with 7/20, and what replaces it is drawn from "
        "(1/2, 3/10, 0) / (4/5) = (5/8, 3/8, 0) instead of (6/7, 1/7, 0).",
        TOKENS, TARGET, (Fraction(67, 160), Fraction(61, 160), Fraction(1, 5)), _one_draft(decide), 8000,
    )  # fmt: skip


def rotalabs_eagle() -> ExactCase:
    """``eagle_verify`` of rotalabs-accel: a scalar is subtracted from the whole row."""
    function = import_module("rotalabs_accel.speculative.eagle").eagle_verify
    model = RowModel(lambda context: row(TARGET))

    def decide(token: int) -> int:
        weight = tensor([[float(DRAFT[token])]], "float32")
        emitted, _, _ = function(model, prompt(), tensor([[token]], "int64"), weight, None, use_sampling=True)
        return token_list(emitted)[0]

    return ExactCase(
        "One draft, target (1/2, 3/10, 1/5), drafter (1/5, 1/4, 11/20). The residual is the target less the number "
        "11/20, the drafter's probability of the rejected token 2, in every entry: nothing is left, and the argmax of "
        "the target, token 0, is emitted.",
        TOKENS, TARGET, (Fraction(11, 20), Fraction(1, 4), Fraction(1, 5)), _one_draft(decide), 20_000,
    )  # fmt: skip


def rotalabs_bonus() -> ExactCase:
    """``verify_tokens`` of rotalabs-accel: the bonus token is the argmax."""
    function = import_module("rotalabs_accel.speculative.core").verify_tokens
    model = RowModel(lambda context: row(TARGET))

    def run(rng: np.random.Generator) -> int:
        token = drawn(TARGET, rng)
        with seeded(rng):
            ids, weight = tensor([token], "int64"), tensor([float(TARGET[token])], "float32")
            return token_list(function(model, prompt(), ids, weight, None)[0])[1]

    return ExactCase(
        "One draft, target and drafter (1/2, 3/10, 1/5): the draft is always accepted, and the second token is the "
        "bonus. Its arguments are handed over by position: top_p, 0.9 by default, arrives as top_k, which is raised to "
        "1, so that the bonus is the argmax.",
        TOKENS, TARGET, (Fraction(1), Fraction(0), Fraction(0)), run,
    )  # fmt: skip


def rotalabs_tree() -> ExactCase:
    """``build_tree`` and ``verify_tree`` of rotalabs-accel: children are the most probable tokens, tested as drawn."""
    module = import_module("rotalabs_accel.speculative.tree")
    target, draft = RowModel(lambda context: row(TARGET)), RowModel(lambda context: row(DRAFT))
    config = module.TreeSpecConfig(max_depth=1, branch_factor=2, max_candidates=8, temperature=1.0)

    def run(rng: np.random.Generator) -> int:
        with seeded(rng):
            tree = module.SpeculationTree(config)
            drafted, weights, _ = tree.build_tree(draft, prompt(), "cpu")
            return token_list(module.verify_tree(target, prompt(), tree, drafted, weights, 1.0, "cpu")[0])[0]

    return ExactCase(
        "One level, two children, target (1/2, 3/10, 1/5), drafter (1/5, 1/4, 11/20) at every context. The children "
        "are tokens 2 and 1, the drafter's most probable. The first path that emits anything is kept, which is the "
        "first: token 2 is accepted with (1/5)/(11/20) = 4/11 although it was not drawn, and otherwise a token comes "
        "from (1/2, 3/10, 0) / (4/5).",
        TOKENS, TARGET, (Fraction(35, 88), Fraction(21, 88), Fraction(4, 11)), run,
    )  # fmt: skip


def typical() -> ExactCase:
    """Typical acceptance, documented as lossy: economize's, with its defaults."""
    verifier, _ = economize_typical()
    rows, target = np.stack([row(TARGET)] * 2), TARGET

    def run(rng: np.random.Generator) -> int:
        return int(verifier(rows, row(DRAFT)[None], np.array([drawn(DRAFT, rng)]), rng)[0])

    return ExactCase(
        "One draft, target (1/2, 3/10, 1/5), drafter (1/5, 1/4, 11/20): a token passes if the target gives it more "
        "than min(0.09, 0.3 exp(-entropy)) = 0.09, and so every draft does. Out comes the drafter's law.",
        TOKENS, target, DRAFT, run,
    )  # fmt: skip


def capped() -> ExactCase:
    """``capped_hsd_step`` of sequential-speculative-decoding at two drafts."""
    step = import_module("seqspecdecod.capped_hsd").capped_hsd_step
    third = Fraction(1, 3)
    target, draft = (RowModel(partial(_same_row, (share, 1 - share))) for share in (third, 1 - third))

    def run(rng: np.random.Generator) -> int:
        with seeded(rng):
            tokens = token_list(step(draft, target, prompt(), 2, 1.0, 1.0)[0])[1:]
        return 2 * tokens[0] + tokens[1]

    return ExactCase(
        "Two drafts, target (1/3, 2/3) and drafter (2/3, 1/3) at every position. The whole draft is accepted by the "
        "capped ratio of its first token (the index is one short): with 1/2 if that is 0, surely if it is 1. Otherwise "
        "the first token is kept with probability 1, since the branch divergences are those of the position before, "
        "and the second is 1. No first token is ever rejected.",
        ("strings 0 0", "0 1", "1 0", "1 1"), tuple(Fraction(n, 9) for n in (1, 2, 2, 4)),
        tuple(Fraction(n, 9) for n in (2, 4, 2, 1)), run,
    )  # fmt: skip


def csaq() -> ExactCase:
    """csaq-quant's speculative loop: the row behind a draft, not the row before it, decides on it."""
    first, after = (Fraction(9, 10), Fraction(1, 10)), (Fraction(1, 10), Fraction(9, 10))
    source = SimpleNamespace(
        target_row=lambda context: row(after if context else first), draft_row=lambda context: row(first)
    )
    round_of = csaq_round(cast(Pair, source), lookahead=1, new_tokens=1)

    def run(rng: np.random.Generator) -> int:
        with seeded(rng):
            return round_of()[0]

    return ExactCase(
        "One draft; the target is (9/10, 1/10) after the prompt and (1/10, 9/10) after either token, the drafter "
        "(9/10, 1/10). The logits of the position behind the draft are compared: token 0 is accepted with "
        "(1/10)/(9/10) = 1/9, and otherwise token 1 is emitted.",
        ("token 0", "token 1"), first, after, run,
    )  # fmt: skip
