"""Decoding, one request or several at once: each with its own tree; one target pass and one host read a step."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from veridraft.theory.policies.base import Policy
from veridraft.theory.verifiers.table import get_verifier

from ..models.backend import torch
from ..models.pairs import ModelPair
from ..trees.sampling import Sampling
from ..trees.skeleton import skeleton_of
from ..trees.tree_batch import NONE, TreeBatch
from ..verification.table import Outcomes, verify_batch
from .drafting.choosing import draft_model, drafter_of
from .drafting.drafters import Drafter, Writing
from .drafting.growth import Drafted
from .drafting.n_gram import NGram, any_policy
from .memory import tree_advice
from .passes.cache import BatchModel
from .passes.finite_checks import FiniteRows, columns_of, pass_of
from .passes.stopwatch import Stopwatch
from .requests import Block, Ending, Request, Written

Tensor = torch.Tensor


@dataclass
class Active:
    """A request in a row of the batch."""

    number: int
    limit: int
    writing: Writing
    coins: np.random.Generator
    written: int = 0
    ending: Ending | None = None


@dataclass
class Verified:
    """What a step found out on the device, before it is read."""

    batch: TreeBatch
    outcomes: Outcomes
    path: Tensor
    fed: Tensor
    report: Tensor = field(init=False)

    def __post_init__(self) -> None:
        """(B, D + 3) integers: tokens of the path, the next token, tau, how much of the path the draft was fed."""
        tau, kept = (self.path != NONE).sum(dim=1), (self.fed != NONE).sum(dim=1)
        last = torch.stack([self.outcomes.tokens, tau, kept], dim=1)
        self.report = torch.cat([self.batch.tokens_of(self.path), last], dim=1)


class BatchDecoder:
    """Speculative decoding of up to ``rows`` requests at once, with one verifier and one policy.

    Waiting requests take the rows of finished ones.  Both networks have one KV cache for all rows, allocated when a
    run begins for the longest text that it may have to hold.  ``steps`` counts the target passes, ``stopwatch``
    says where their time goes.

    policy : any policy of the theory, or an :class:`.NGram`, which needs no draft network; or its text
    end_tokens : the tokens that end a text; those of the target by default
    Raises ``ValueError`` for an unknown verifier, a policy that it is not known to be lossless for, or fewer than
    one row.
    """

    def __init__(
        self,
        pair: ModelPair,
        verifier: str,
        policy: Policy | str,
        sampling: Sampling | None = None,
        rows: int = 8,
        end_tokens: frozenset[int] | None = None,
    ) -> None:
        policy = any_policy(policy)
        get_verifier(verifier).require(policy)
        if rows < 1:
            raise ValueError(f"rows must be at least 1, but is {rows}")
        if isinstance(policy, NGram) and verifier != "nss":
            raise ValueError(f"policy {policy.name} has no draft rows: its verifier is 'nss', not {verifier!r}")
        self.pair, self.verifier, self.policy, self.rows = pair, verifier, policy, rows
        self.sampling = sampling or Sampling()
        self.end_tokens = pair.end_tokens if end_tokens is None else end_tokens
        self.skeleton = skeleton_of(policy, pair.vocabulary_size)
        self._is_chain = self.skeleton is not None and self.skeleton.columns == self.skeleton.depth + 1
        self.stopwatch = Stopwatch(pair.device)
        self.steps = 0
        self.finite = FiniteRows(self.sampling, self.stopwatch, columns=columns_of(pair))
        self.target: BatchModel | None = None

    def decode(self, requests: Sequence[Request]) -> tuple[Written, ...]:
        """The finished texts, in the order of the requests.  Errors are those of :meth:`stream`."""
        tokens: list[list[int]] = [[] for _ in requests]
        taus: list[list[int]] = [[] for _ in requests]
        endings: dict[int, Ending] = {}
        for block in self.stream(requests):
            tokens[block.request] += block.tokens
            taus[block.request].append(block.tau)
            if block.ending:
                endings[block.request] = block.ending
        return tuple(Written(tuple(tokens[n]), tuple(taus[n]), endings[n]) for n in range(len(requests)))

    def stream(self, requests: Sequence[Request]) -> Generator[Block, None, None]:
        """Blocks as they are accepted, one for each running request and step.

        Raises, before any work, ``ValueError`` for a prompt that :meth:`ModelPair.encode` refuses, a length below 1,
        or a text that would outgrow the target's positions; later ``FloatingPointError`` that names the step and
        the row if a logit is not finite, and ``MemoryError`` that says which tree would fit.
        """
        prompts = [self._checked(number, request) for number, request in enumerate(requests)]
        return self._run(requests, prompts)

    @torch.inference_mode()
    def _run(self, requests: Sequence[Request], prompts: Sequence[tuple[int, ...]]) -> Generator[Block, None, None]:
        waiting = deque(range(len(requests)))
        active: list[Active] = []
        drafter = self._prepare(requests, prompts)
        while waiting or active:
            while waiting and len(active) < self.rows:
                number = waiting.popleft()
                active.append(self._admit(len(active), number, requests[number], prompts[number], drafter))
            self.finite.step, self.finite.requests = self.steps, [one.number for one in active]
            yield from self.step(active, drafter)
            self._release(active, drafter)

    def _checked(self, number: int, request: Request) -> tuple[int, ...]:
        """The prompt's tokens."""
        tokens = self.pair.encode(request.prompt)
        if request.max_new_tokens < 1:
            raise ValueError(f"request {number}: max_new_tokens must be at least 1, but is {request.max_new_tokens}")
        limit = getattr(self.pair.target.config, "max_position_embeddings", None)
        needed = len(tokens) + request.max_new_tokens + self.policy.depth
        if limit is not None and needed > limit:
            raise ValueError(f"request {number}: prompt and text need {needed} positions, but the target has {limit}")
        return tokens

    def _prepare(self, requests: Sequence[Request], prompts: Sequence[tuple[int, ...]]) -> Drafter:
        """The caches, and the drafter."""
        longest = max(
            (len(prompt) + request.max_new_tokens for prompt, request in zip(prompts, requests, strict=True)), default=1
        )
        rows = max(1, min(self.rows, len(requests)))
        capacity = longest + self.policy.depth + self._most_nodes()
        draft = partial(draft_model, self.pair, rows, capacity, self.stopwatch)
        drafter = drafter_of(self.policy, self.pair, draft, self.finite)
        self.target = BatchModel(
            self.pair.target, rows, capacity, self.stopwatch, pass_of("target"), keeps_states=drafter.listens
        )
        return drafter

    def _most_nodes(self) -> int:
        """The most tokens that lie behind a context during a step."""
        if self.skeleton is not None:
            return self.skeleton.columns
        if isinstance(self.policy, NGram):
            return self.policy.depth + 1
        return MOST_LIVE_NODES

    def _admit(
        self, row: int, number: int, request: Request, prompt: tuple[int, ...], drafter: Drafter
    ) -> Active:
        """A request begins in a row: both networks read its prompt, but for the last token."""
        assert self.target is not None
        draft_rng, coin_rng = np.random.default_rng(request.seed).spawn(2)
        writing = Writing(list(prompt), [prompt[-1]], draft_rng)
        with self.stopwatch.phase("prompt"):
            self.target.contexts[row] = 0
            self.target.prefill(row, prompt[:-1])
            drafter.start(row, writing, self.target.states[0] if prompt[1:] else None)
        return Active(number, request.max_new_tokens, writing, coin_rng)

    def _release(self, active: list[Active], drafter: Drafter) -> None:
        """Finished requests leave; the last row takes the place of each."""
        assert self.target is not None
        for row in reversed(range(len(active))):
            if active[row].ending:
                last = active.pop()
                if row < len(active):
                    active[row] = last
                    self.target.take_over(len(active), row)
                    drafter.take_over(len(active), row)

    @torch.inference_mode()
    def step(self, active: list[Active], drafter: Drafter) -> list[Block]:
        """One tree for each running request, one target pass over all, one block for each."""
        nodes = self.skeleton.columns if self.skeleton else 0
        with tree_advice(self.pair, len(active), nodes):
            with self.stopwatch.phase("draft"):
                drafted = drafter.draft([one.writing for one in active])
            with self.stopwatch.phase("target"):
                rows = self._target_rows(active, drafted)
            with self.stopwatch.phase("verify"):
                verified = self._verify(active, drafted, rows)
            with self.stopwatch.phase("commit"):
                return self._commit(active, drafter, verified)

    def _target_rows(self, active: Sequence[Active], drafted: Drafted) -> Tensor:
        """(B, N, V) the target's rows at every column, by one pass; uncommitted in its cache."""
        assert self.target is not None
        tokens = drafted.batch.tokens.clamp(min=0)
        tokens[:, 0] = torch.tensor([one.writing.text[-1] for one in active], device=tokens.device)
        logits = self.target.feed(len(active), tokens, 0, drafted.batch.ancestors())
        return self.finite.of("target")(logits)

    def _verify(self, active: Sequence[Active], drafted: Drafted, rows: Tensor) -> Verified:
        """The verifier's decisions."""
        batch = replace(drafted.batch, target=rows)
        drawn = np.zeros((len(active), max(drafted.coins)))
        for row, one in enumerate(active):
            drawn[row, : drafted.coins[row]] = one.coins.random(drafted.coins[row])
        coins = torch.from_numpy(drawn).to(rows.device, non_blocking=True)
        outcomes = verify_batch(self.verifier, batch, torch.cat([coins.gather(1, drafted.coin_of), coins[:, :1]], 1))
        path = batch.paths(outcomes.columns)
        fed = torch.where(path == NONE, NONE, drafted.fed.gather(1, path.clamp(min=0)))
        return Verified(batch, outcomes, path, fed)

    def _commit(self, active: Sequence[Active], drafter: Drafter, verified: Verified) -> list[Block]:
        """Read what happened, once; keep the accepted paths in the caches; write the blocks."""
        assert self.target is not None
        path, is_line = verified.path, verified.batch.columns == verified.batch.depth + 1
        root = path.new_zeros((len(path), 1))
        if not is_line:
            self.target.move(len(active), _filled(torch.cat([root, path], dim=1)))
        found = self.finite.read(verified.report)
        taus, kept = [row[-2] for row in found], [row[-1] for row in found]
        if drafter.listens:
            self._tell(drafter, torch.cat([root, path], dim=1), taus)
        self.target.keep([tau + 1 for tau in taus])
        drafter.keep(len(active), None if self._is_chain else _filled(verified.fed), kept)
        self.steps += 1
        return [self._write(one, row) for one, row in zip(active, found, strict=True)]

    def _tell(self, drafter: Drafter, path: Tensor, taus: Sequence[int]) -> None:
        """Let the drafter hear the states of the target's pass at the root and along the accepted path (B, D + 1)."""
        assert self.target is not None
        states = self.target.states
        along = states.gather(1, path.clamp(min=0)[..., None].expand(-1, -1, states.shape[2]))
        for row, tau in enumerate(taus):
            drafter.hear(row, along[row, : tau + 1])

    def _write(self, one: Active, found: Sequence[int]) -> Block:
        """Append a block, cut behind the first end of sequence and at the maximum length."""
        *path, token, tau, kept = found
        emitted = [*path[:tau], token]
        added = []
        for token in emitted:
            added.append(token)
            one.written += 1
            if token in self.end_tokens:
                one.ending = Ending.END_OF_SEQUENCE
            elif one.written >= one.limit:
                one.ending = Ending.LENGTH
            if one.ending:
                break
        one.writing.text += added
        one.writing.unseen = emitted[kept:]
        return Block(one.number, tuple(added), tau, one.ending)


MOST_LIVE_NODES = 256
"""Room for the tokens fed in a step by a policy without a skeleton; the caches grow once if it takes more."""


def _filled(source: Tensor) -> Tensor:
    """Where a path (B, k) has ended, what lies there stays."""
    places = torch.arange(source.shape[1], device=source.device)
    return torch.where(source == NONE, places, source)
