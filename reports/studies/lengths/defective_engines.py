"""The product's decoder with another verifier in the place of its own: a defect of ``veridraft.simulate``, or right.

The verifier is given the rows and tokens of the trees that the decoder drafted, and the decoder goes on with what it
accepts and emits.  An engine at fault where it drafts gets a policy that draws from other rows than it says.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.engines.recorder import RunRecorder
from veridraft.gpu.models.backend import torch
from veridraft.gpu.models.pairs import ModelPair
from veridraft.gpu.trees.tree_batch import TreeBatch
from veridraft.gpu.verification.lifts import Decisions
from veridraft.gpu.verification.table import DEVICE_VERIFIERS, DeviceVerifier
from veridraft.simulate.batches.batch import Outcome
from veridraft.simulate.batches.rows import Floats, Ints, sums
from veridraft.simulate.defects.broken.planted import biased
from veridraft.simulate.defects.correct.engines import Drafting, RowChange, as_given
from veridraft.simulate.defects.correct.token_wise import Chains, exponential
from veridraft.simulate.defects.kinds import Defect
from veridraft.simulate.defects.table import DEFECTS
from veridraft.simulate.forms.form import Arguments, Form, tree_arguments
from veridraft.simulate.procedures.table import PROCEDURES
from veridraft.theory.policies.arguments import parse_policy
from veridraft.theory.policies.base import Policy, RecursivePolicy
from veridraft.theory.policies.paths import Chain, Delayed, Iid
from veridraft.theory.rows.distributions import draw
from veridraft.theory.rows.trees import DraftTree

NOT_IN_PLACE = {
    "placeholder_taken_for_draft": "what it accepts was never drafted, so that no cache holds it",
    "padded_width_escapes": "what it hands out behind a rejection was never drafted, so that no cache holds it",
    "beam_told_as_sampled": "it drafts a block as a whole, not a token at a time",
    "marginals_told_as_conditionals": "it drafts a block as a whole, not a token at a time",
    "one_seed_for_draft_and_test": "the decoder keeps no uniforms of its drafts",
    "cap_beats_stop": "the decoder's texts do not end",
    "positions_by_index": "it reads the target's rows by itself",
    "history_of_last_tokens": "it reads the target's rows by itself",
    "history_with_rejected_drafts": "it reads the target's rows by itself",
}
"""Defects that cannot stand in the decoder, and why."""

BIASED = Defect(
    0, "planted_bias", "planted", "a tenth of the outcomes is thrown away, and token 0 emitted", Form.PATHS,
    biased(PROCEDURES["naive"], 0.1, 0), PROCEDURES["naive"],
)  # fmt: skip

IN_PLACE = {name: one for name, one in DEFECTS.items() if name not in NOT_IN_PLACE} | {BIASED.name: BIASED}
"""Name to defect: those that can be put in place."""

_TRUNK, _PATHS = Delayed(3, 1, 1), Iid(3, 2)
PLACES: dict[str, tuple[str, Policy]] = {
    "token_wise_tests_in_block": ("block", Chain(3)),
    "draft_taken_for_certain_in_block": ("block", Chain(3)),
    "products_of_ratios_and_uniforms": ("block", Chain(3)),
    "duplicates_skipped": ("specinfer", _PATHS),
    "trunk_counted_k_times": ("spectr", _TRUNK),
    "leaves_in_draw_order": ("traversal", _PATHS),
    "planted_bias": ("naive", Chain(3)),
    "sure_hub_accepted": ("spechub", parse_policy("HubPairs(2)")),
}
"""The verifier of the theory that the right procedure beside a defect is, and a policy, where the form says other."""

_BY_FORM = {
    Form.CHAIN: ("naive", Chain(3)),
    Form.GENERATE: ("naive", Chain(3)),
    Form.TREE: ("rrsw", parse_policy("Static(2x2)")),
}


def place_of(defect: Defect) -> tuple[str, Policy]:
    """Which verifier of the theory the right procedure is, and the policy that both are tried with."""
    return PLACES[defect.name] if defect.name in PLACES else _BY_FORM[defect.form]


@dataclass(frozen=True, repr=False)
class DrawnFrom(RecursivePolicy):
    """A chain of L tokens, each drawn from ``rows`` of the draft's row; the tree holds the draft's row itself."""

    length: int
    rows: RowChange

    name = property(lambda self: f"DrawnFrom({self.length}, {self.rows.__name__})")
    depth = property(lambda self: self.length)
    root_state = property(lambda self: self.length)
    draft_laws = Chain(1).draft_laws

    def is_leaf(self, state: Any) -> bool:
        """True behind the last token."""
        return not state

    def child_states(self, state: Any, tokens: Sequence[int]) -> tuple[Any, ...]:
        """One token fewer is left."""
        return (state - 1,)

    def list_law(self, state: Any, draft_row: Any) -> Iterator[tuple[Any, tuple[int, ...]]]:
        """Each token that can be drawn."""
        row = drawn_rows(self.rows, draft_row[None])[0]
        yield from ((row[token], (token,)) for token in np.flatnonzero(row).tolist())

    def draw_list(self, state: Any, draft_row: Any, rng: np.random.Generator) -> tuple[int, ...]:
        """One token."""
        return (int(draw(drawn_rows(self.rows, draft_row[None])[0], rng.random(1))[0]),)


def drawn_rows(rows: RowChange, draft: Floats) -> Floats:
    """The law (n, V) of draws from ``rows`` of the draft's rows (n, V); rows of zeros stay."""
    drawn, inner = draft.copy(), sums(draft) > 0
    weights = rows(draft[inner])
    drawn[inner] = weights / sums(weights)[:, None]
    return drawn


def of_drafting(engine: Drafting) -> Callable[..., Outcome]:
    """The part of a drafting engine that verifies, of the form chain; draft: the rows before anything was done to them.

    Where the engine draws by a race, the noise is drawn given who won it: the winner's time is exponential, and the
    others' exceed it by exponential times of their own.
    """

    def verify(target: Floats, draft: Floats, tokens: Ints, rng: np.random.Generator) -> Outcome:
        flat, shape = draft.reshape(-1, draft.shape[-1]), draft.shape
        verified = engine.verified(target[:, :-1].reshape(flat.shape)).reshape(shape)
        noise = None
        if engine.race:
            drawn = drawn_rows(engine.drawn, flat).reshape(shape)
            first = exponential(rng, shape[:2])[..., None]
            won = np.arange(shape[2]) == tokens[..., None]
            noise = np.where(won, drawn * first, drawn * first + exponential(rng, shape))
        seen = np.concatenate([verified, target[:, -1:]], axis=1)
        return engine.verify(Chains(seen, engine.told(flat).reshape(shape), tokens, noise), rng)

    return verify


@dataclass(frozen=True, eq=False)
class Held:
    """A tree that is in NumPy already, for an observer that asks for it there."""

    held: DraftTree

    def to_theory(self) -> DraftTree:
        """The tree."""
        return self.held


@dataclass(frozen=True, eq=False)
class Seen:
    """A step as an observer sees it: what was accepted, and the tree with the rows that its tokens were drawn from."""

    tau: int
    tree: Held


class Engine:
    """A verifier of ``veridraft.simulate`` as one that decides batches on the device, tree by tree on the CPU.

    form : how ``verifier`` is called; a :class:`Drafting` in the form ``generate``
    trees : the trees of the steps that were decided and not taken yet, oldest first
    """

    def __init__(self, form: Form, verifier: Any, policy: Policy, seed: int) -> None:
        self.form, self.trees, self.rng = form, deque[DraftTree](), np.random.default_rng(seed)
        self.drafting = verifier if isinstance(verifier, Drafting) else None
        self.verifier = of_drafting(verifier) if self.drafting else verifier
        self.policy = policy
        if self.drafting and self.drafting.drawn is not as_given:
            self.policy = DrawnFrom(policy.depth, self.drafting.drawn)
        self.trunk = policy.L1 if form is Form.PATHS and isinstance(policy, Delayed) else 0

    def decide(self, batch: TreeBatch, coins: torch.Tensor) -> Decisions:
        """The decisions about a batch; the coins are the verifier's own."""
        drafted = [batch.tree(number).to_theory() for number in range(batch.size)]
        self.trees.extend(drafted)
        columns, masses = torch.zeros(batch.size, dtype=torch.long), torch.zeros(batch.size, batch.target.shape[2])
        for places, arrays in self.groups(drafted):
            outcome = self.call(arrays, self.rng)
            for place, tau, tokens in zip(places, outcome.accepted.tolist(), outcome.tokens.tolist(), strict=True):
                columns[place] = batch.nodes(place)[_node(drafted[place], tokens[:tau])]
                masses[place, tokens[tau]] = 1
        device = batch.target.device
        return Decisions(columns.to(device), masses.to(device, batch.target.dtype))

    def groups(self, trees: Sequence[DraftTree]) -> list[tuple[list[int], Arguments]]:
        """The numbers of the trees whose arrays have one shape, with these stacked."""
        found: dict[tuple[int, ...], list[tuple[int, Arguments]]] = defaultdict(list)
        for number, tree in enumerate(trees):
            arrays = tree_arguments(tree) if self.form is Form.TREE else _paths(tree)
            found[arrays[0].shape].append((number, arrays))
        return [
            ([number for number, _ in group], tuple(map(np.stack, zip(*(arrays for _, arrays in group), strict=True))))
            for group in found.values()
        ]

    def call(self, arrays: Arguments, rng: np.random.Generator) -> Outcome:
        """The outcomes of stacked arrays."""
        if self.form in (Form.CHAIN, Form.GENERATE):
            arrays = tuple(array[:, 0] for array in arrays)
        more = {"trunk": self.trunk} if self.trunk else {}
        return self.verifier(*(array.copy() for array in arrays), rng, **more)

    def drawn_from(self, tree: DraftTree) -> DraftTree:
        """The tree with the rows that its tokens were drawn from."""
        if self.drafting is None or self.drafting.drawn is as_given:
            return tree
        return replace(tree, draft=drawn_rows(self.drafting.drawn, tree.draft))


def _node(tree: DraftTree, path: Sequence[int]) -> int:
    """The node at the end of a path of tokens."""
    node = 0
    for token in path:
        node = next(child for child in tree.child_lists[node] if tree.tokens[child] == token)
    return node


def _paths(tree: DraftTree) -> Arguments:
    """target (K, L + 1, V), draft (K, L, V), tokens (K, L): the paths that were drawn, in draw order."""
    nodes = [[0] for _ in range(max(len(listed) for listed in tree.child_lists))]
    for _ in range(int(tree.depths.max())):
        through: dict[int, list[int]] = defaultdict(list)
        for path, (*_, node) in enumerate(nodes):
            through[node].append(path)
        for node, paths in through.items():
            listed = tree.child_lists[node]
            for path, child in zip(paths, listed if len(listed) == len(paths) else listed * len(paths), strict=True):
                nodes[path].append(child)
    places = np.array(nodes)
    return tree.target[places], tree.draft[places[:, :-1]], tree.tokens[places[:, 1:]]


@contextmanager
def in_place_of(verifier: str, engine: Engine) -> Iterator[None]:
    """Inside, the decoders decide by the engine where they are asked for the verifier of that name."""
    own = DEVICE_VERIFIERS[verifier]
    DEVICE_VERIFIERS[verifier] = DeviceVerifier(engine.decide, own.stopping)
    try:
        yield
    finally:
        DEVICE_VERIFIERS[verifier] = own


def decoded(
    pair: ModelPair, verifier: str, engine: Engine, steps: int, seed: int, rows: int = 64, tokens: int = 48
) -> tuple[RunRecorder, list[DraftTree]]:
    """The first steps of requests with drawn prompts, recorded, and their trees with the rows that the draft gave.

    rows : requests in the batch; tokens : the length of a text
    """
    rng, depth = np.random.default_rng(seed), engine.policy.depth
    prompts = rng.integers(1, pair.vocabulary_size, (steps * (depth + 1) // tokens + 2 * rows, 4)).tolist()
    requests = [Request(prompt, tokens, seed=int(rng.integers(2**32))) for prompt in prompts]
    recorder, trees = RunRecorder(depth, traced=True), list[DraftTree]()
    watched: dict[int, Callable[[Any], None]] = {}
    with in_place_of(verifier, engine):
        for block in islice(BatchDecoder(pair, verifier, engine.policy, rows=rows).stream(requests), steps):
            trees.append(engine.trees.popleft())
            if block.request not in watched:
                watched[block.request] = recorder.watch()
            watched[block.request](Seen(block.tau, Held(engine.drawn_from(trees[-1]))))
    return recorder, trees
