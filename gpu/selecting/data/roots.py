"""Roots along texts, each with what is known there and what every action gives, kept in shards: one for a text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from veridraft.theory.efficiency.nested import NestedTrees, action_values, draw_nested
from veridraft.theory.policies.base import Policy
from veridraft.theory.rows.distributions import Row
from veridraft.theory.rows.trees import Context, DraftTree

from ...decoding.drafting.choosing import draft_model
from ...decoding.drafting.draft_pair import LivePair
from ...decoding.drafting.head_drafter import HeadFeed, HeadModel
from ...decoding.drafting.known import TextStates
from ...decoding.passes.cache import BatchModel, RowFeed
from ...decoding.passes.finite_checks import FiniteRows, columns_of
from ...decoding.passes.stopwatch import Stopwatch
from ...files.whole import check_same, write_json, write_whole
from ...models.backend import torch
from ...models.pairs import ModelPair
from ...trees.sampling import Sampling
from ...trees.tree_batch import NONE
from ..fingerprint import fingerprint_of
from ..grid import Grid
from ..plan import RANKING, RootPlan
from ..schema import BLOCKS
from .examples import shard_names, shard_place
from .features import scalars_of
from .texts import Text, draw_texts

SETTINGS = "roots.json"

Told = Callable[[str, int, int, str], None]
"""Part, pieces done, pieces in all, and which was the last."""


class RootWalk:
    """Both networks behind one text, root after root in ascending order; rows under one sampling."""

    def __init__(self, pair: ModelPair, text: Sequence[int], states: TextStates, sampling: Sampling, room: int) -> None:
        self.pair, self.text, self.states = pair, text, states
        watch, capacity = Stopwatch(pair.device), len(text) + room
        self.target = BatchModel(pair.target, 1, capacity, watch)
        self.draft = draft_model(pair, 1, capacity, watch)
        finite = FiniteRows(sampling, watch, requests=[0], columns=columns_of(pair))
        self.rows = {name: finite.now(name, 0) for name in ("target", "draft")}
        if isinstance(self.draft, HeadModel):
            self.draft.restart(0)
            self.draft.hear(0, states.target)
        self._root_row = torch.empty(0)

    def go_to(self, root: int) -> None:
        """Let the target read the text before a root, and the draft the root's token, too."""
        for model in (self.target, self.draft):
            model.prefill(0, self.text[model.contexts[0] : root])
        self._root_row = self.rows["draft"](self.draft.append(1, [[self.text[root]]]))[0]

    def nested(self, grid: Grid, rng: np.random.Generator) -> tuple[NestedTrees, Row, Row]:
        """Nested trees drawn at the root, with the target's and the draft's rows (N, V) at their contexts."""
        live = self._live()
        nested = draw_nested(live, rng, grid.paths, grid.levels)
        return nested, self._target_rows(nested.contexts), np.stack(live.draft_rows(nested.contexts))

    def tree(self, policy: Policy, rng: np.random.Generator) -> DraftTree:
        """A tree of any policy drawn at the root, with both networks' rows (N, V)."""
        drawn = policy.sample(self._live(), rng)
        return replace(drawn, target=self._target_rows([drawn.context(node) for node in range(drawn.size)]))

    def _live(self) -> LivePair:
        feed = HeadFeed if isinstance(self.draft, HeadModel) else RowFeed
        return LivePair(feed(self.draft, 0), self._root_row, self.rows["draft"])

    def _target_rows(self, contexts: Sequence[Context]) -> Row:
        """(N, V) by one pass of the target over the root's token and all others; parents stand before children."""
        number = {context: place for place, context in enumerate(contexts)}
        tokens = [self.text[self.target.contexts[0]], *(context[-1] for context in contexts[1:])]
        parents = [NONE, *(number[context[:-1]] for context in contexts[1:])]
        rows: Row = self.rows["target"](RowFeed(self.target, 0).feed(tokens, parents)).cpu().numpy()
        return rows


def values_of(nested: NestedTrees, target: Row, draft: Row, verifiers: Sequence[str]) -> Row:
    """(verifiers, K, L + 1, L + 1) E[tau + 1] of every action, given the trees."""
    smaller, *merged = nested.merged(target, draft)
    trees = smaller.trees(*merged)
    whole = nested.trees(target, draft) if set(verifiers) & set(RANKING) else trees
    return np.stack([action_values(name, whole if name in RANKING else trees) for name in verifiers])


@torch.inference_mode()
def record_text(pair: ModelPair, plan: RootPlan, text: Text, seed: Sequence[int]) -> dict[str, Row]:
    """The roots of one text: states and numbers (R, ...), and values (R, trees, verifiers, K, L + 1, L + 1).

    Trees of root and number are drawn with generators of their own.  Raises ``FloatingPointError`` for a logit that
    is not finite.
    """
    sampling, roots = plan.samplings[text.sampling], text.roots(plan)
    states = TextStates.of(pair, text.tokens[: roots[-1] + 1])
    known = [states.at(root, sampling) for root in roots]
    walk = RootWalk(pair, text.tokens, states, sampling, room=2 + plan.grid.levels * (2 + plan.grid.levels)
                    * plan.grid.paths)  # fmt: skip
    values = []
    for root in roots:
        walk.go_to(root)
        rngs = (np.random.default_rng([*seed, root, tree]) for tree in range(plan.trees))
        values.append([values_of(*walk.nested(plan.grid, rng), plan.verifiers) for rng in rngs])
    found = {name: torch.stack([getattr(one, name) for one in known]).cpu().numpy() for name in BLOCKS}
    return found | {"scalars": scalars_of(pair, known), "values": np.array(values, dtype=np.float32)}


def draw_roots(pair: ModelPair, plan: RootPlan, folder: Path, told: Told) -> None:
    """Write all texts and shards that a folder lacks; a killed run loses the one that it was in.

    Raises ``ValueError`` for a folder that holds roots of another plan or pair.
    """
    folder.mkdir(parents=True, exist_ok=True)
    check_settings(folder / SETTINGS, {"pair": fingerprint_of(pair), **plan.settings()})
    texts = draw_texts(pair, plan, folder, told)
    shards = list(_shards(plan, texts))
    for done, (name, text) in enumerate(shards, start=1):
        place = shard_place(folder, name)
        if place.exists():
            continue
        found: dict[str, Any] = record_text(pair, plan, text, [plan.seed, crc32(name.encode())])
        write_whole(place, partial(np.savez_compressed, **found))
        told("roots", done * plan.roots, len(shards) * plan.roots, name)


def _shards(plan: RootPlan, texts: dict[str, tuple[Text, ...]]) -> Iterator[tuple[str, Text]]:
    for kind in plan.kinds:
        yield from zip(shard_names(plan, kind), texts[kind], strict=True)


def check_settings(place: Path, settings: dict[str, Any]) -> None:
    """Write down what determines a folder, or compare it with what is written there.

    Raises ``ValueError`` that names the first difference.
    """
    if not place.exists():
        write_json(place, settings)
    held = json.loads(place.read_text(encoding="utf-8"))
    check_same(held, settings, f"{str(place.parent)!r} was made", "give another folder")
