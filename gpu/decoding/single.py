"""The loop: draft a tree, look at it with one target pass, verify, keep the accepted path's cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from veridraft.theory.policies.base import Policy
from veridraft.theory.verifiers.table import get_verifier

from ..models.backend import torch
from ..models.pairs import ModelPair
from ..trees.sampling import Sampling
from ..trees.tensor_tree import TensorTree
from ..verification.table import Outcome, verify
from .drafting.forest import Forest, grow_forest
from .passes.tree_attention import CachedModel, Rows
from .requests import Text


@dataclass(frozen=True, eq=False)
class Step:
    """One target pass: the tree, what was accepted, what it emitted.

    ``node`` is the accepted node, ``tau`` its depth; ``emitted`` has tau + 1 tokens, before any cut at an
    end of sequence or at the maximum length; ``seconds`` is the time from one emitted block to the next.
    The rows of the tree are live memory: a record of a run should keep what it needs of them, not them.
    """

    index: int
    tree: TensorTree
    node: int
    tau: int
    emitted: tuple[int, ...]
    seconds: float


@dataclass
class Request:
    """A text being written: what both networks remember of it, and what the draft has not seen yet."""

    prompt: tuple[int, ...]
    max_new_tokens: int
    target: CachedModel
    draft: CachedModel
    unseen: list[int]
    text: list[int] = field(default_factory=list)
    root_row: torch.Tensor | None = None
    seconds: float = 0.0
    done: bool = False

    @property
    def last_token(self) -> int:
        """The root of the next tree: the one token that the target has not been fed."""
        return self.text[-1] if self.text else self.prompt[-1]


class Decoder:
    """Speculative decoding with one verifier and one policy; ``steps`` counts its target passes.

    rng : split into a stream for drafts and one for the verifier's coins, so that looking on (predicting,
        recording) changes no text
    Every verifier of the theory's table, and every policy.  Raises ``ValueError`` for an unknown verifier, or a
    policy that it is not known to be lossless for.
    """

    def __init__(
        self,
        pair: ModelPair,
        verifier: str,
        policy: Policy,
        sampling: Sampling | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        get_verifier(verifier).require(policy)
        self.pair, self.verifier, self.policy = pair, verifier, policy
        self.sampling = sampling or Sampling()
        self.draft_rng, self.coin_rng = (rng or np.random.default_rng()).spawn(2)
        self.steps = 0

    @torch.inference_mode()
    def start(self, prompt: str | Sequence[int], max_new_tokens: int = 128) -> Request:
        """A request whose prompt both networks have read, up to its last token.

        Raises ``ValueError`` for a prompt that :meth:`ModelPair.encode` refuses, for ``max_new_tokens`` below 1,
        or if the text would outgrow the target's positions.
        """
        tokens = self.pair.encode(prompt)
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, but is {max_new_tokens}")
        limit = getattr(self.pair.target.config, "max_position_embeddings", None)
        needed = len(tokens) + max_new_tokens + self.policy.depth
        if limit is not None and needed > limit:
            raise ValueError(f"prompt and text need {needed} positions, but the target has {limit}")
        target, draft = CachedModel(self.pair.target), CachedModel(self.pair.draft)
        if len(tokens) > 1:
            target.append(tokens[:-1])
        return Request(tokens, max_new_tokens, target, draft, list(tokens))

    @torch.inference_mode()
    def open(self, request: Request) -> None:
        """Let the draft read what it has not seen and compute its row at the root, if that is not done yet."""
        if request.root_row is None:
            begin = self._clock()
            request.root_row = self.rows("draft")(request.draft.append(request.unseen))[0]
            request.unseen = []
            request.seconds += self._clock() - begin

    @torch.inference_mode()
    def step(self, request: Request) -> Step:
        """One tree drafted, one target pass over it, one block emitted.

        Raises ``FloatingPointError`` that names the step and the row if a logit is not finite.
        """
        self.open(request)
        begin = self._clock()
        forest = self.draft_forest(request, self.draft_rng)
        tree = forest.tree(0, self.target_rows(request, forest))
        coins = torch.from_numpy(self.coin_rng.random(tree.size + 1)).to(tree.target.device)
        outcome = verify(self.verifier, tree, coins)
        emitted = self._commit(request, forest, tree, outcome)
        seconds = request.seconds + self._clock() - begin
        request.seconds, request.root_row = 0.0, None
        self.steps += 1
        return Step(self.steps - 1, tree, outcome.node, tree.depths[outcome.node], emitted, seconds)

    def draft_forest(self, request: Request, rng: np.random.Generator, count: int = 1) -> Forest:
        """``count`` trees at the request's opened root; they lie uncommitted in the draft's cache."""
        assert request.root_row is not None, "open the request first"
        rows = self.rows("draft")
        return grow_forest(request.draft, request.last_token, request.root_row, self.policy, rows, rng, count)

    def target_rows(self, request: Request, forest: Forest) -> torch.Tensor:
        """(U, V) the target's float64 rows at the forest's nodes, by one pass; uncommitted in its cache."""
        return self.rows("target")(request.target.feed(forest.tokens, forest.parents))

    def rows(self, network: str) -> Rows:
        """The function from logits to float64 rows, which stops at a logit that is not finite."""

        def checked(logits: torch.Tensor) -> torch.Tensor:
            broken = ~torch.isfinite(logits.amax(dim=-1))
            if bool(broken.any()):
                row = int(broken.to(torch.int8).argmax())
                raise FloatingPointError(f"{network} logits of step {self.steps}, row {row} are not finite")
            return self.sampling.rows(logits)

        return checked

    def _commit(self, request: Request, forest: Forest, tree: TensorTree, outcome: Outcome) -> tuple[int, ...]:
        """Keep the accepted path in both caches and write the block; the block before any cut."""
        path = tree.path(outcome.node)
        request.target.keep([0, *path])
        seen = [forest.cached[node] for node in path if node in forest.cached]
        request.draft.keep(seen)
        emitted = (*tree.tokens_at(path), outcome.token)
        request.unseen = list(emitted[len(seen) :])
        self._write(request, emitted)
        return emitted

    def _write(self, request: Request, emitted: tuple[int, ...]) -> None:
        """Append the block, cut behind the first end of sequence and at the maximum length."""
        for token in emitted:
            request.text.append(token)
            if token in self.pair.end_tokens or len(request.text) >= request.max_new_tokens:
                request.done = True
                return

    def _clock(self) -> float:
        """Seconds, once the device has done what it was asked."""
        if self.pair.device.type == "cuda":
            torch.cuda.synchronize(self.pair.device)
        return perf_counter()


@dataclass(frozen=True)
class Decoded(Text):
    """A text, and the time of its steps."""

    seconds: float


def decode(
    pair: ModelPair,
    prompt: str | Sequence[int],
    verifier: str,
    policy: Policy,
    sampling: Sampling | None = None,
    max_new_tokens: int = 128,
    rng: np.random.Generator | None = None,
    observer: Callable[[Step], Any] | None = None,
) -> Decoded:
    """A text written after the prompt, in the target's law (with ``sampling`` applied) whatever the draft.

    ``observer`` is called with every :class:`Step` while its rows are alive.  Errors are those of
    :class:`Decoder`.  At temperature 0 the text is the target's own greedy text, up to ties of the numerics.
    """
    decoder = Decoder(pair, verifier, policy, sampling, rng)
    request = decoder.start(prompt, max_new_tokens)
    taus, seconds = [], 0.0
    while not request.done:
        step = decoder.step(request)
        taus.append(step.tau)
        seconds += step.seconds
        if observer is not None:
            observer(step)
    return Decoded(tuple(request.text), tuple(taus), seconds)
