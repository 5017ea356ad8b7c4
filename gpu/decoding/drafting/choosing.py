"""Which drafter drafts a policy's trees with a pair's draft, and which batch network that draft becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from veridraft.theory.policies.base import Policy

from ...models.heads.network import is_head
from ...models.pairs import ModelPair
from ...trees.skeleton import skeleton_of
from ..passes.cache import BatchModel
from ..passes.finite_checks import FiniteRows, pass_of
from ..passes.stopwatch import Stopwatch
from .drafters import Drafter, NetworkDrafter, TextDrafter
from .head_drafter import HeadDrafter, HeadModel
from .n_gram import NGram
from .selected import Selected, SelectingDrafter


def draft_model(pair: ModelPair, rows: int, capacity: int, stopwatch: Stopwatch) -> BatchModel:
    """The pair's draft with a KV cache for a batch."""
    kind = HeadModel if is_head(pair.draft) else BatchModel
    return kind(pair.draft, rows, capacity, stopwatch, pass_of("draft"))


def drafter_of(policy: Policy, pair: ModelPair, network: Callable[[], BatchModel], finite: FiniteRows) -> Drafter:
    """What drafts the policy's trees; ``network`` gives the draft network, and is called if there is need of one."""
    if isinstance(policy, NGram):
        return TextDrafter(policy.proposal, pair.vocabulary_size, pair.device)
    if policy.depth == 0:
        return TextDrafter(_no_proposal, pair.vocabulary_size, pair.device)
    skeleton = skeleton_of(policy, pair.vocabulary_size)
    kind = HeadDrafter if is_head(pair.draft) else NetworkDrafter
    drafter = kind(network(), policy, skeleton, finite)
    return SelectingDrafter(drafter, pair, policy) if isinstance(policy, Selected) else drafter


def _no_proposal(text: Sequence[int]) -> list[int]:
    """Nothing: plain decoding."""
    return []
