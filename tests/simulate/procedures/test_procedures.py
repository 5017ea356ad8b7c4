"""The procedures of simulate against the laws of theory: averaged over trees, and given a tree."""

import numpy as np
import pytest
from scipy import stats

from veridraft.simulate import PROCEDURES, Agreement, compare, get_procedure, simulate
from veridraft.simulate.procedures import decision_order, depth_first
from veridraft.theory import VERIFIERS, Chain, Delayed, DraftTree, Iid, MarkovPair, dirichlet_pair, get_verifier

FALSE_ALARM = 1e-6  # of this whole file, split over its statistical tests
TRIALS = 8_000


def memoryless(target, draft):
    size = len(target)
    return MarkovPair(np.tile(target, (size, 1)), np.tile(draft, (size, 1)))


PAIRS = {
    "far": dirichlet_pair(3, seed=5, closeness=0.0),
    "close": dirichlet_pair(3, seed=6, closeness=0.7),
    "flat": dirichlet_pair(4, seed=9, concentration=3.0, closeness=0.0),
    "peaked": dirichlet_pair(4, seed=7, concentration=0.2, closeness=0.2),
    "zeros": memoryless([0.5, 0.5, 0.0, 0.0], [0.0, 0.25, 0.5, 0.25]),
    "ties": memoryless([0.25, 0.5, 0.25], [0.5, 0.25, 0.25]),
    "flat and close": dirichlet_pair(4, seed=10, concentration=3.0, closeness=0.6),
    "equal": dirichlet_pair(3, seed=8, closeness=1.0),
    "disjoint": memoryless([0.5, 0.5, 0.0], [0.0, 0.0, 1.0]),
    "target a point": memoryless([0.0, 1.0, 0.0], [0.3, 0.3, 0.4]),
    "draft a point": memoryless([0.3, 0.3, 0.4], [0.0, 1.0, 0.0]),
}
RICH = ("far", "flat", "peaked", "zeros")
POLICIES = [Chain(3), Iid(3, 2), Delayed(3, 1, 1), Delayed(2, 1, 2)]
CASES = [
    (name, policy, key)
    for name in PROCEDURES
    for policy in POLICIES
    for key in PAIRS
    if get_verifier(name).supports(policy) and (key in RICH or policy in (Chain(3), Delayed(3, 1, 1)))
]


@pytest.mark.parametrize(("name", "policy", "key"), CASES, ids=lambda case: getattr(case, "name", case))
def test_strings_and_depths_agree_with_theory(name, policy, key):
    run = simulate(name, policy, PAIRS[key], TRIALS, seed=11)
    found = compare(run, name, policy, PAIRS[key], level=FALSE_ALARM / 2 / len(CASES))
    assert found.outcome is Agreement.AGREES, found.first_difference


TREES = {  # paths (K, L) and the length of the trunk
    "chain": ([[0, 1, 2, 3]], 0),
    "four paths, two the same": ([[1, 0, 2], [0, 0, 1], [1, 0, 1], [1, 0, 2]], 0),
    "a draw comes back after another": ([[0, 1], [1, 1], [0, 2], [0, 1]], 0),
    "the last draw is another": ([[0, 3, 1], [0, 3, 1], [3, 1, 1], [3, 1, 0], [2, 1, 2]], 0),
    "all the same": ([[1, 2], [1, 2], [1, 2]], 0),
    "a trunk of two": ([[2, 1, 0], [2, 1, 1], [2, 1, 0]], 2),
}
GIVEN = [
    (name, key, pair)
    for name in PROCEDURES
    for key in TREES
    for pair in ("flat", "flat and close")
    if key == "chain" or get_verifier(name).supports(Iid(2, 2))
]


@pytest.mark.parametrize(("name", "key", "pair"), GIVEN)
def test_law_given_the_tree_agrees_with_theory(name, key, pair):
    """Node and next token, jointly, on one tree: what losslessness alone would not tell apart."""
    paths, trunk = np.array(TREES[key][0]), TREES[key][1]
    tree = DraftTree.from_paths(paths, PAIRS[pair].target_row, PAIRS[pair].draft_row, trunk)
    law = get_verifier(name).law(tree)
    counts = outcome_counts(name, paths, trunk, PAIRS[pair], law)
    expected = np.clip(law.stopping[:, None] * law.next_token, 0.0, 1.0)
    level = FALSE_ALARM / 2 / len(GIVEN) / expected.size
    below, above = stats.binom.cdf(counts, TRIALS, expected), stats.binom.sf(counts - 1, TRIALS, expected)
    assert np.minimum(below, above).min() > level / 2


def outcome_counts(name, paths, trunk, pair, law):
    """(N, V): how often each node was accepted with each next token, over TRIALS copies of one tree."""
    depth = paths.shape[1]
    prefixes = [[tuple(path[:d].tolist()) for d in range(depth + 1)] for path in paths]
    target = np.array([[pair.target_row(prefix) for prefix in row] for row in prefixes])
    draft = np.array([[pair.draft_row(prefix) for prefix in row[:-1]] for row in prefixes])
    copies = [np.repeat(array[None], TRIALS, axis=0) for array in (target, draft, paths)]
    outcome = PROCEDURES[name](*copies, np.random.default_rng(12), trunk=trunk)
    nodes = {law.tree.context(node): node for node in range(law.tree.size)}
    counts = np.zeros(law.tree.target.shape, dtype=int)
    base = (pair.vocabulary_size + 1) ** np.arange(depth + 1)
    codes = (outcome.tokens + 1) @ base  # a block of tokens as one number, NO_TOKEN as digit 0
    _, first, repeats = np.unique(codes, return_index=True, return_counts=True)
    for row, count in zip(outcome.tokens[first].tolist(), repeats.tolist(), strict=True):
        tokens = tuple(token for token in row if token >= 0)
        counts[nodes[tokens[:-1]], tokens[-1]] += count
    assert counts.sum() == TRIALS
    return counts


def test_traversal_decides_depth_first():
    a, b, c, d, e = range(5)
    assert decision_order([(a, b), (c, d), (a, e)]) == ((a, b), (a, e), (a,), (c, d), (c,))


def test_equal_paths_are_decided_once():
    assert decision_order([(0, 1), (0, 1), (0, 2), (0, 1)]) == ((0, 1), (0, 2), (0,))
    assert decision_order([(0, 1, 2)]) == ((0, 1, 2), (0, 1), (0,))
    assert decision_order(np.zeros((3, 0), dtype=int)) == ()


def test_decision_order_is_that_of_the_trees_of_theory():
    rng = np.random.default_rng(13)
    for _ in range(50):
        paths = rng.integers(0, 3, size=(4, 3))
        tree = DraftTree.from_paths(paths, lambda _: np.full(3, 1 / 3), lambda _: np.full(3, 1 / 3))
        assert decision_order(paths) == tuple(tree.context(node) for node in tree.post_order()[:-1])


def test_traversal_in_the_order_of_the_draws_is_caught(monkeypatch):
    """Leaves decided as drawn, so that a subtree left is come back to: lossy at three paths, and seen."""

    def as_drawn(paths):
        trials, width, _ = paths.shape
        agree = np.cumprod(paths[:, 1:] == paths[:, :-1], axis=2).sum(axis=2)
        ends = np.full((trials, 1), -1)
        return np.tile(np.arange(width), (trials, 1)), np.concatenate([ends, agree, ends], axis=1)

    pair = PAIRS["far"]
    monkeypatch.setattr(depth_first, "_depth_first_order", as_drawn)
    run = simulate("traversal", Iid(3, 2), pair, 200_000, seed=14)
    assert compare(run, "traversal", Iid(3, 2), pair).outcome is Agreement.DIFFERS


@pytest.mark.parametrize("name", PROCEDURES)
def test_equal_rows_are_accepted_to_the_end(name):
    policy = Chain(3) if name in ("naive", "block") else Iid(3, 2)
    run = simulate(name, policy, PAIRS["equal"], 5_000)
    if name == "nss":  # ignores the draft
        assert run.depth_counts[0] > 0
    else:
        assert run.mean_acceptance_length == policy.depth


@pytest.mark.parametrize("name", PROCEDURES)
def test_disjoint_supports_accept_nothing(name):
    policy = Chain(3) if name in ("naive", "block") else Iid(3, 2)
    assert simulate(name, policy, PAIRS["disjoint"], 5_000).mean_acceptance_length == 0


class ConstantCoins:
    """A generator whose uniforms are all the same number."""

    def __init__(self, uniform):
        self.uniform = uniform

    def random(self, size):
        return np.full(size, self.uniform)


@pytest.mark.parametrize("uniform", [0.0, 0.5, np.nextafter(1.0, 0.0)])
@pytest.mark.parametrize("key", ["zeros", "disjoint", "target a point", "draft a point", "peaked"])
@pytest.mark.parametrize("name", PROCEDURES)
def test_no_coin_emits_a_token_of_probability_zero(name, key, uniform):
    pair, width = PAIRS[key], 1 if name in ("naive", "block") else 3
    rng = np.random.default_rng(15)
    for _ in range(8):
        paths = drawn_paths(pair, width, 2, rng)
        target, draft = rows_along(pair, paths)
        outcome = PROCEDURES[name](target[None], draft[None], paths[None], ConstantCoins(uniform))
        emitted = outcome.tokens[0, : outcome.accepted[0] + 1].tolist()
        assert all(pair.target_row(tuple(emitted[:d]))[emitted[d]] > 0 for d in range(len(emitted)))


def drawn_paths(pair, width, depth, rng):
    paths = np.zeros((width, depth), dtype=int)
    for path in paths:
        for level in range(depth):
            path[level] = rng.choice(pair.vocabulary_size, p=pair.draft_row(tuple(path[:level].tolist())))
    return paths


def rows_along(pair, paths):
    prefixes = [[tuple(path[:d].tolist()) for d in range(paths.shape[1] + 1)] for path in paths]
    target = np.array([[pair.target_row(prefix) for prefix in row] for row in prefixes])
    draft = np.array([[pair.draft_row(prefix) for prefix in row[:-1]] for row in prefixes])
    return target, draft


@pytest.mark.parametrize("name", PROCEDURES)
def test_depth_zero_is_plain_decoding(name):
    run = simulate(name, Chain(0), memoryless([0.0, 1.0], [0.5, 0.5]), 100)
    assert run.block_efficiency == 1
    assert run.frequency((1,)) == 1


def test_block_keeps_the_last_position_that_passes():
    """With uniforms 0 every h above 0 passes, with uniforms near 1 only the sure ones."""
    target = np.full((1, 1, 3, 2), [1 / 3, 2 / 3])
    draft = np.full((1, 1, 2, 2), [2 / 3, 1 / 3])
    almost_one = np.nextafter(1.0, 0.0)
    for tokens, low, high in (((0, 0), 2, 0), ((0, 1), 2, 2), ((1, 0), 2, 1), ((1, 1), 2, 2)):
        for uniform, accepted in ((0.0, low), (almost_one, high)):
            paths = np.array(tokens).reshape(1, 1, 2)
            assert PROCEDURES["block"](target, draft, paths, ConstantCoins(uniform)).accepted == [accepted]


def good_arguments(trials=2, width=2, depth=2, size=3):
    return (
        np.full((trials, width, depth + 1, size), 1 / size),
        np.full((trials, width, depth, size), 1 / size),
        np.zeros((trials, width, depth), dtype=int),
    )


def broken(argument, index, value):
    arguments = [array.copy() for array in good_arguments()]
    arguments[argument][index] = value
    return arguments


BAD = {
    "target row (trial 1, path 0, depth 2) sums to 0.5": broken(0, (1, 0, 2), [0.5, 0.0, 0.0]),
    "draft row (trial 0, path 1, depth 1) has the entry -0.5 at token 2": broken(1, (0, 1, 1), [1.0, 0.5, -0.5]),
    "target row (trial 0, path 0, depth 0) has the entry nan at token 1": broken(0, (0, 0, 0, 1), np.nan),
    "draft row (trial 0, path 0, depth 0) has the entry inf at token 0": broken(1, (0, 0, 0, 0), np.inf),
    "paths row (trial 1, path 1, depth 0) is 3; it must lie in [0, 3)": broken(2, (1, 1, 0), 3),
    "paths row (trial 0, path 1, depth 1) is -1; it must lie in [0, 3)": broken(2, (0, 1, 1), -1),
    "paths row (trial 1, path 0, depth 0) is 0, a token of draft probability 0": broken(1, (1, 0, 0), [0, 0.5, 0.5]),
    "target row (trial 1, path 1, depth 1) differs from that of path 0": broken(0, (1, 1, 1), [0.5, 0.5, 0.0]),
    "draft row (trial 0, path 1, depth 0) differs from that of path 0": broken(1, (0, 1, 0), [0.5, 0.5, 0.0]),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_rows_and_tokens_are_named(message):
    with pytest.raises(ValueError) as error:
        PROCEDURES["traversal"](*BAD[message], np.random.default_rng(0))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "trunk", "message"),
    [
        ((*good_arguments()[:2], np.zeros((2, 2))), 0, "paths must be integers"),
        ((*good_arguments()[:2], np.zeros((2, 2, 2))), 0, "paths must be integers"),
        ((good_arguments()[1], *good_arguments()[1:]), 0, r"target must have shape \(2, 2, 3, 'V'\)"),
        ((good_arguments()[0], *good_arguments()[::2]), 0, r"draft must have shape \(2, 2, 2, 'V'\)"),
        (good_arguments(), 3, r"trunk must lie in \[0, 2\], but is 3"),
        (good_arguments(), -1, r"trunk must lie in \[0, 2\], but is -1"),
        (broken(2, (0, 1, 0), 1), 1, r"paths row \(trial 0, path 1, depth 0\) is not path 0's token"),
    ],
)
def test_bad_shapes_and_trunks_are_named(arguments, trunk, message):
    with pytest.raises(ValueError, match=message):
        PROCEDURES["spectr"](*arguments, np.random.default_rng(0), trunk=trunk)


@pytest.mark.parametrize("name", ["naive", "block"])
def test_single_path_procedures_refuse_two_paths(name):
    with pytest.raises(ValueError, match=f"{name} verifies one path, but paths has K = 2"):
        PROCEDURES[name](*good_arguments(), np.random.default_rng(0))


def test_every_procedure_has_its_verifier_and_unknown_names_are_listed():
    assert set(PROCEDURES) <= set(VERIFIERS)
    with pytest.raises(ValueError, match="no procedure is called 'medusa'; known are naive, nss"):
        get_procedure("medusa")
