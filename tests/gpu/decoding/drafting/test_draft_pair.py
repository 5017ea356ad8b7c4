"""A draft network asked for many rows at once: the rows of plain passes, and one pass for a level of a tree."""

from __future__ import annotations

import numpy as np
import pytest

from veridraft.theory import Context, Iid, Policy
from veridraft.theory.policies.best_first import CaDDTree, OptTree, TopK
from veridraft.theory.policies.dyspec import DySpec

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import PROMPTS, tiny_pair

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.drafting.draft_pair import LivePair
from veridraft.gpu.decoding.passes.cache import BatchModel, RowFeed
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.trees.sampling import Sampling

ROWS = Sampling().rows
BY_LEVEL = [
    TopK(3, 4, 9),
    TopK(10, 5, 60),
    OptTree(12, 0, 4),
    CaDDTree(30.0, {0: 1.0, 16: 2.0}, 4),
    DySpec(threshold=0.004, depth=4),
]


class Passes:
    """A network below a committed context that counts its passes; ``widths`` are their numbers of tokens."""

    def __init__(self, model) -> None:
        cached, self.widths = BatchModel(model, 1, 128), []
        self.root_row = ROWS(cached.append(1, [PROMPTS[0]]))[0]
        self.row = RowFeed(cached, 0)

    def feed(self, tokens, parents):
        self.widths.append(len(tokens))
        return self.row.feed(tokens, parents)


@pytest.fixture(scope="module")
def draft():
    return tiny_pair().draft


@pytest.fixture
def live(draft):
    with torch.inference_mode():
        model = Passes(draft)
        yield LivePair(model, model.root_row, ROWS), model


def plain_row(model, context: Context) -> np.ndarray:
    return ROWS(model(input_ids=torch.tensor([[*PROMPTS[0], *context]]), use_cache=False).logits[0, -1:])[0].numpy()


def test_new_rows_cost_one_pass_and_known_ones_none(live, draft):
    """A context's parent may stand before it in the same question; float32 rounding is about 1e-6."""
    pair, model = live
    pair.draft_rows([(5,), (9,), (5,)])
    contexts: list[Context] = [(9, 2), (), (5,), (5, 7), (5, 7, 1), (5, 7, 3), (9, 2)]
    rows = pair.draft_rows(contexts)
    assert model.widths == [2, 4]
    for context, row in zip(contexts, rows, strict=True):
        np.testing.assert_allclose(row, plain_row(draft, context), atol=1e-5)
        assert (pair.draft_row(context) == row).all()
    assert model.widths == [2, 4]


def test_a_context_whose_parent_is_unknown_is_named(live):
    pair, model = live
    with pytest.raises(KeyError, match=r"\(5, 7\)"):
        pair.draft_rows([(5,), (5, 7, 1)])
    assert model.widths == [] and pair.fed == {}


@pytest.mark.parametrize("policy", BY_LEVEL, ids=str)
def test_a_tree_costs_at_most_a_pass_for_each_level_that_has_children(live, policy: Policy):
    pair, model = live
    tree = policy.sample(pair, np.random.default_rng(2))
    assert len(model.widths) <= policy.depth - 1
    assert tree.size - 1 > len(model.widths) > 1
    if isinstance(policy, TopK):
        assert model.widths == [policy.k] * (policy.depth - 1)


@pytest.mark.parametrize("policy", [*BY_LEVEL, Iid(2, 3)], ids=str)
def test_a_tree_on_the_device_has_the_rows_that_it_was_drawn_from(live, policy: Policy):
    """Any policy of the theory can be sampled so; a node that was fed is found among the fed tokens."""
    pair, _ = live
    drawn = policy.sample(pair, np.random.default_rng(2))
    tree, places = pair.on_device(drawn)
    assert (tree.tokens, tree.parents, tree.child_lists) == (
        tuple(drawn.tokens), tuple(drawn.parents), drawn.child_lists
    )  # fmt: skip
    fed = {place: drawn.context(node) for node, place in enumerate(places) if place >= 0}
    assert sorted(fed) == sorted(pair.fed[context] for context in fed.values())
    for node, listed in enumerate(drawn.child_lists):
        if listed:
            assert (tree.draft[node].numpy() == drawn.draft[node]).all()
            assert node == 0 or places[node] == pair.fed[drawn.context(node)]


@pytest.mark.parametrize("policy", BY_LEVEL, ids=str)
def test_the_tree_is_that_of_the_networks_own_rows(live, policy: Policy):
    """Drawn again from the rows that are known now, it costs no pass; asked for one by one, it is the same."""
    pair, model = live
    tree = policy.sample(pair, np.random.default_rng(3))
    passes = len(model.widths)
    pair.draft_rows = lambda contexts: [LivePair.draft_rows(pair, [context])[0] for context in contexts]
    again = policy.sample(pair, np.random.default_rng(3))
    assert len(model.widths) == passes
    assert (again.child_lists, again.tokens.tolist()) == (tree.child_lists, tree.tokens.tolist())


@pytest.mark.parametrize("depth", [2, 5])
def test_a_step_reads_the_text_and_makes_a_pass_for_each_level_below(depth: int):
    """The draft's passes of one step, prompt and root included: the text, then levels 1 to depth - 1."""
    pair, policy, widths = tiny_pair(), TopK(4, depth, 9), []
    pair.draft.register_forward_hook(
        lambda module, arguments, options, output: widths.append(options["input_ids"].shape[1]), with_kwargs=True
    )
    BatchDecoder(pair, "nss", policy).decode([Request(PROMPTS[0], 1)])
    assert widths == [len(PROMPTS[0]) - 1, 1, *[4] * (depth - 1)]
