"""Rows of real models for the exact mathematics: asked for one context at a time, or recorded from a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from veridraft.theory.pairs.base import Pair
from veridraft.theory.pairs.recorded import RecordedPair
from veridraft.theory.policies.base import Policy
from veridraft.theory.rows.distributions import Row
from veridraft.theory.rows.trees import Context, DraftTree

from ..models.backend import torch
from ..models.heads.network import is_head, logits_below
from ..models.pairs import ModelPair
from ..trees.sampling import Sampling
from ..trees.tree_batch import TreeBatch
from .drafting.known import Known, TextStates
from .passes.finite_checks import columns_of
from .requests import Block, Request
from .step_watch import Spent, WatchedDecoder, Watcher


class PromptPair(Pair):
    """A pair whose rows are those of two networks after a prompt, in float64: contexts are below the prompt.

    Each row is one plain pass, without cache or tree mask, and is remembered; ``remember`` bounds how many.
    So exact questions (block efficiency, certificates, bounds) can be asked about real rows, as long as the
    contexts that they need are few.
    """

    exact = False

    def __init__(
        self, pair: ModelPair, prompt: str | Sequence[int], sampling: Sampling | None = None, remember: int = 256
    ) -> None:
        self.pair, self.prompt, self.sampling = pair, pair.encode(prompt), sampling or Sampling()
        self.vocabulary_size = pair.vocabulary_size
        self._row = lru_cache(maxsize=remember)(self._computed)

    def target_row(self, context: Context) -> Row:
        """The target's row (V,) after prompt and context."""
        return self._row("target", tuple(context))

    def draft_row(self, context: Context) -> Row:
        """The draft's row (V,) after prompt and context."""
        return self._row("draft", tuple(context))

    def known(self, context: Context) -> Known:
        """What a :class:`.Selected` chooses from at a root after prompt and context."""
        text = [*self.prompt, *context]
        return TextStates.of(self.pair, text).at(len(text) - 1, self.sampling)

    @torch.inference_mode()
    def _computed(self, network: str, context: Context) -> Row:
        if network == "draft" and is_head(self.pair.draft):
            return self._of_head(context)
        tokens = torch.tensor([[*self.prompt, *context]], device=self.pair.device)
        logits = getattr(self.pair, network)(input_ids=tokens, use_cache=False, logits_to_keep=1).logits[0]
        return self.sampling.of(network).rows(logits)[0].cpu().numpy()

    def _of_head(self, context: Context) -> Row:
        """The head's row, for a root at the end of the prompt."""
        head = self.pair.draft
        logits = logits_below(head, self.pair.target, self.prompt, context)
        wide = columns_of(self.pair)["draft"].widen(self.sampling.of("draft").rows(logits[None]))
        return wide[0].cpu().numpy()


def record_run(
    pair: ModelPair,
    prompt: str | Sequence[int],
    verifier: str,
    policy: Policy,
    sampling: Sampling | None = None,
    max_new_tokens: int = 64,
    seed: int = 0,
) -> tuple[RecordedPair, tuple[tuple[Context, DraftTree], ...]]:
    """The rows that one decoded text came to, and its draft trees, each with the context of its root.

    Contexts are whole: the prompt's tokens stand in front.  Any verifier that is lossless for the policy can be
    asked for its law on the trees.  Rows of V float64 entries are kept for every node, so cut them (top-k, top-p)
    or keep the text short.  Errors are those of :class:`.BatchDecoder` and its ``stream``.
    """
    trees = tuple(recorded_steps(pair, prompt, verifier, policy, sampling, max_new_tokens, seed))
    return RecordedPair.from_trees(trees), trees


def recorded_steps(
    pair: ModelPair,
    prompt: str | Sequence[int],
    verifier: str,
    policy: Policy,
    sampling: Sampling | None = None,
    max_new_tokens: int = 64,
    seed: int = 0,
) -> Iterator[tuple[Context, DraftTree]]:
    """The trees of :func:`record_run`, each when its step is decoded: what is not asked for is not decoded."""
    kept, text = _KeptTree(), list(pair.encode(prompt))
    decoder = WatchedDecoder(pair, verifier, policy, kept, sampling, rows=1)
    for block in decoder.stream([Request(prompt, max_new_tokens, seed)]):
        yield tuple(text), kept.tree
        text += block.tokens


class _KeptTree(Watcher):
    """Keeps the last step's tree of one text."""

    tree: DraftTree

    def after(self, batch: TreeBatch, blocks: Sequence[Block], spent: Spent) -> None:
        """Keep the step's tree."""
        self.tree = batch.tree(0).to_theory()
