"""mlx-lm's loop of speculative decoding, on MLX for CPUs, with models whose rows are a pair's."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from veridraft.simulate.forms.cases import Case
from veridraft.simulate.forms.form import Form
from veridraft.theory.pairs.base import MarkovPair
from veridraft.theory.policies.paths import Chain

from ...real_audits.audited import Built
from ..audited import EngineAuditee

NEW_TOKENS = 3
TRIALS = 20_000


class RowModel:
    """A model of mlx-lm with one layer that keeps the tokens themselves; the row follows the last token."""

    layers = (None,)

    def __init__(self, first: Any, rows: Any) -> None:
        mx = import_module("mlx.core")
        self.table = mx.array(np.log(np.concatenate([rows, first[None]])).astype(np.float32))

    def __call__(self, tokens: Any, cache: Any) -> Any:
        """Logits (1, n, V) behind each of the tokens (1, n); the last number of the vocabulary starts a text."""
        mx = import_module("mlx.core")
        kept = tokens[:, None, :, None].astype(mx.float32)
        cache[0].update_and_fetch(kept, kept)
        return self.table[tokens]


def loop(drafts: int) -> Callable[[], Built]:
    """``speculative_generate_step`` with that many drafts a round, and mlx's own categorical draws."""

    def build() -> Built:
        generate, mx = import_module("mlx_lm.generate"), import_module("mlx.core")
        rows = np.random.default_rng(61).dirichlet(np.full(4, 0.7), size=(2, 5))
        models = [RowModel(side[4], side[:4]) for side in rows]
        pair = MarkovPair(rows[0, :4], rows[1, :4], (rows[0, 4], rows[1, 4]))

        def run(rng: np.random.Generator) -> list[int]:
            mx.random.seed(int(rng.integers(2**32)))
            steps = generate.speculative_generate_step(
                mx.array([4]), *models, num_draft_tokens=drafts, max_tokens=NEW_TOKENS,
                sampler=mx.random.categorical,
            )  # fmt: skip
            return [int(token) for token, _, _ in steps]

        return run, [Case("Markov rows", pair, Chain(NEW_TOKENS - 1), "rows that follow the last token")]

    return build


def auditees() -> tuple[EngineAuditee, ...]:
    """All of them."""
    return tuple(
        EngineAuditee(f"mlx-lm speculative_generate_step, {drafts} drafts", "mlx-lm", "speculative_generate_step",
                      f"{drafts} drafts a round, categorical sampler", Form.GENERATE, loop(drafts), trials=TRIALS)
        for drafts in (1, 2)
    )  # fmt: skip
