"""Arguments of every public function: what is refused, by which sentence, and before any work."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest

from veridraft.theory import (
    Chain,
    DraftTree,
    Iid,
    Static,
    Throughput,
    Topology,
    TopPlusOne,
    block_efficiency,
    certify,
    dirichlet_pair,
    get_verifier,
    throughput,
    tree_optimum,
)
from veridraft.theory.efficiency.dynamic import dynamic_block_efficiency
from veridraft.theory.efficiency.weighted_bounds import bounded_block_efficiency
from veridraft.theory.pairs import iid_pair
from veridraft.theory.policies import HubPairs, WithReplacement, get_policy
from veridraft.theory.policies.arguments import OutOfReachError
from veridraft.theory.solvers import (
    OptimalTransport,
    canonical,
    greedy,
    hub,
    k_seq,
    naive,
    nss,
    optimal_iid,
    rrs,
    rrs_without_replacement,
    smallest_rho,
    symmetrised,
)
from veridraft.theory.speed import Device, Line, Network, Schedule, StepTime, get_device, get_network, roofline_model

HALF = np.array([0.5, 0.5])
PAIR = iid_pair([0.7, 0.2, 0.1], [0.2, 0.3, 0.5])
MODEL = roofline_model(get_network("8B"), get_network("1B"), get_device("H100"))
SOLVERS = [
    nss, naive, rrs, rrs_without_replacement, k_seq, canonical, greedy, hub, optimal_iid, OptimalTransport(),
    symmetrised(rrs),
]  # fmt: skip


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: getattr(solver, "__name__", type(solver).__name__))
def test_a_solver_refuses_a_weight_and_a_token_that_are_none(solver) -> None:
    for weight in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"weight must lie in \[0, 1\], but is "):
            solver(HALF, HALF, (0, 1), weight)
    for tokens in ((0, -1), (0, 2)):
        with pytest.raises(ValueError, match=rf"the list \(0, {tokens[1]}\) has the token {tokens[1]}; it must lie in"):
            solver(HALF, HALF, tokens)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: smallest_rho(HALF, HALF, -1), ValueError, "count must be at least 1, but is -1"),
        (lambda: smallest_rho(HALF, HALF, 0), ValueError, "count must be at least 1, but is 0"),
        (lambda: smallest_rho(HALF, HALF, 1.5), TypeError, r"count must be an integer, but is 1\.5"),
        (lambda: smallest_rho(HALF, HALF, float("nan")), TypeError, "count must be an integer, but is nan"),
        (lambda: get_device("H100").times(1.5), TypeError, r"count must be an integer, but is 1\.5"),
        (lambda: get_device("H100").times(float("inf")), TypeError, "count must be an integer, but is inf"),
        (lambda: Device("x", float("inf"), 1, 1), ValueError, "bandwidth of x must be positive and finite"),
        (lambda: get_device(5), TypeError, "GPU must be named by text, one of A100, .*, but is 5"),
        (lambda: get_network(None), TypeError, "shape must be named by text, one of 135M, .*, but is None"),
        (lambda: Network("x", -1, 1, 1, 1, 1, 1, 1), ValueError, "layers of x must be at least 1, but is -1"),
        (lambda: Line(float("inf")), ValueError, "fixed must be at least 0 and finite, but is inf"),
        (lambda: Line(0, float("nan")), ValueError, "per_node must be at least 0 and finite, but is nan"),
        (lambda: Line.through([(0, 1.0)]), ValueError, r"points row 0 is \(0, 1\.0\); it must be nodes >= 1"),
        (lambda: Line.through([(1, 1.0), (2, -1.0)]), ValueError, r"points row 1 is \(2, -1\.0\)"),
        (lambda: Schedule((1.5,), 2), TypeError, r"draft\[0\] must be an integer, but is 1\.5"),
        (lambda: Schedule((1,), 0), ValueError, "every pass must feed at least one token, but nodes is 0"),
        (lambda: Throughput((-1.0,), (StepTime(1, 1),)), ValueError, r"tokens row 0 is -1\.0; a step emits"),
        (lambda: block_efficiency("nss", Chain(1), PAIR, "sample", seed=None), TypeError, "seed must be an integer"),
        (lambda: block_efficiency("nss", Chain(1), PAIR, "sample", seed=-1), ValueError, "seed must be at least 0"),
        (lambda: block_efficiency("nss", Chain(1), PAIR, most_trees=float("nan")), ValueError, "most_trees must be at"),
        (lambda: tree_optimum(TopPlusOne(2, 1), PAIR, most_trees=float("nan")), ValueError, "most_trees must be at"),
        (lambda: throughput(MODEL, "nss", Chain(1), PAIR, method="sample"), ValueError, "which are exact, but is 'sam"),
        (lambda: throughput(MODEL, "block", Chain(1), PAIR, method="bounds"), ValueError, "a confidence interval"),
    ],
)
def test_what_is_no_argument_is_refused_by_name_and_value(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda policy, pair: block_efficiency("nss", policy, pair),
        lambda policy, pair: dynamic_block_efficiency("nss", policy, pair),
        lambda policy, pair: bounded_block_efficiency("block", policy, pair),
        lambda policy, pair: certify("nss", policy, pair, "float"),
        lambda policy, pair: tree_optimum(policy, pair),
        lambda policy, pair: throughput(MODEL, "nss", policy, pair),
    ],
)
def test_a_policy_may_be_text_and_what_is_no_policy_or_pair_is_refused(call) -> None:
    for text in ("Chain(2)", "chain( 2 )"):
        result, wanted = call(text, PAIR), call(Chain(2), PAIR)
        assert type(result) is type(wanted)
        for name in ("value", "lower", "total_variation", "tokens"):
            assert np.all(getattr(result, name, 0) == getattr(wanted, name, 0))
    with pytest.raises(TypeError, match=r"policy must be a Policy, or its text, such as 'Iid\(2, 1\)', but is 5"):
        call(5, PAIR)
    with pytest.raises(ValueError, match=r"policy 'Chin\(2\)' is none of"):
        call("Chin(2)", PAIR)
    with pytest.raises(TypeError, match=r"pair must be a Pair, such as dirichlet_pair\(4\), but is 5"):
        call(Chain(2), 5)


def test_text_is_read_wherever_a_policy_is_asked() -> None:
    assert get_policy("Static(2x2)") == Static(Topology.k_ary(2, 2), replacement=False)
    assert get_policy(Chain(3)) == Chain(3)
    assert Schedule.of_policy("Iid(2, 1)") == Schedule.of_policy(Iid(2, 1))


class EveryNode(WithReplacement):
    """K draws at every node: a policy of one's own, whose trees are counted list by list."""

    name, depth, root_state = "EveryNode", 3, 3

    def draws(self, state):
        return 12 if state else 0

    def child_states(self, state, tokens):
        return (state - 1,) * len(set(tokens))


HUGE = [
    Static(Topology.k_ary(2, 24), replacement=False),
    Static(Topology.k_ary(2, 24), replacement=True),
    Iid(10**9, 1),
    TopPlusOne(2, 40),
    HubPairs(60),
    EveryNode(),
]


@pytest.mark.parametrize("policy", HUGE, ids=lambda policy: type(policy).__name__)
def test_a_huge_enumeration_is_refused_at_once(policy) -> None:
    """The number of trees, of up to 10^11 digits, is not formed; the time allowed is a hundred times what it takes."""
    started = perf_counter()
    with pytest.raises(ValueError, match=r"has up to 10\^\d+\.\d trees, more than most_trees = 10000000"):
        block_efficiency("nss", policy, dirichlet_pair(8), "enumerate")
    with pytest.raises(ValueError, match=r"has 10\^\d+\.\d trees, more than most_trees"):
        tree_optimum(policy, dirichlet_pair(8), method="blocks")
    assert perf_counter() - started < 10
    if policy.most_nodes is not None:
        with pytest.raises(OutOfReachError, match=r"sampled trees of up to \d+ nodes are more than \d+ nodes times"):
            block_efficiency("nss", policy, dirichlet_pair(8))


@pytest.mark.parametrize("policy", [Iid(2, 3), Static(Topology.k_ary(2, 2), replacement=False), TopPlusOne(2, 3)])
def test_the_logarithm_of_the_number_of_trees_is_that(policy) -> None:
    assert policy.log_tree_count(3) == pytest.approx(np.log10(float(policy.tree_count(3))), abs=1e-12)


def test_a_law_given_a_deep_tree_needs_no_deep_recursion() -> None:
    rows = np.tile([0.5, 0.5], (1501, 1))
    tree = DraftTree.from_paths(np.zeros((1, 1500), dtype=int), lambda below: rows[0], lambda below: rows[0])
    for name in ("naive", "block", "traversal", "hierarchical", "gbv"):
        law = get_verifier(name).law(tree)
        assert law.acceptance_length == pytest.approx(1500)
    assert tree.post_order()[-1] == 0 and len(tree.post_order()) == 1501
    deep = Topology.k_ary(1, 1500)
    assert (deep.size, deep.depth, hash(deep)) == (1501, 1500, hash(Topology.k_ary(1, 1500)))


def test_a_law_over_the_trees_of_a_deep_policy_is_refused_before_any_work() -> None:
    one = iid_pair([1.0], [1.0])
    calls = (
        lambda: certify("naive", Chain(1000), PAIR, "float"),
        lambda: block_efficiency("naive", Chain(1000), one, "enumerate"),
        lambda: block_efficiency("hierarchical", Chain(1000), PAIR, "dp"),
        lambda: tree_optimum(Chain(1000), one),
    )
    for call in calls:
        with pytest.raises(OutOfReachError, match=r"policy Chain\(1000\) is 1000 levels deep; .* at most 200"):
            call()
    assert block_efficiency("naive", Chain(1000), one).value == pytest.approx(1001)  # by the programme
    assert block_efficiency("hierarchical", Chain(1000), one, trees=2).method == "sample"


def test_a_plan_that_would_take_half_a_minute_is_refused_by_its_size() -> None:
    row = np.full(316, 1 / 316)
    with pytest.raises(ValueError, match="50086 child lists over 316 tokens is too large: at most 1048576"):
        OptimalTransport()(row, row, (0, 1))


def test_a_selection_programme_is_solved_once_for_all_lists_of_a_node(monkeypatch) -> None:
    from veridraft.theory.solvers import canonical_lists

    calls = []
    solved = canonical_lists.select
    monkeypatch.setattr(canonical_lists, "select", lambda *rows: calls.append(1) or solved(*rows))
    target, draft = np.random.default_rng(1).dirichlet(np.ones(4), size=2)
    for first in range(4):
        for second in range(4):
            for third in range(4):
                canonical(target, draft, (first, second, third))
    assert len(calls) == 2  # the two rounds of a list of three
