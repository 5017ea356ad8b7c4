"""Mistakes of calling: each is named behind a right verifier, and none behind a wrong one that is called rightly."""

import numpy as np
import pytest
from draws import pick
from one_call import naive

from veridraft.simulate import Form, Verdict, audit
from veridraft.simulate.defects.table import DEFECTS


def softmax(rows):
    weights = np.exp(rows - rows.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def takes_logits(target, draft, tokens, rng):
    return naive(softmax(target), softmax(draft), tokens, rng)


def pads_with_zeros(target, draft, tokens, rng):
    emitted = naive(target, draft, tokens, rng)
    return emitted + [0] * (len(target) - len(emitted))


def last_token_alone(target, draft, tokens, rng):
    return naive(target, draft, tokens, rng)[-1:]


def count_and_token(target, draft, tokens, rng):
    emitted = naive(target, draft, tokens, rng)
    return [len(emitted) - 1, emitted[-1]]


def token_and_count(target, draft, tokens, rng):
    return count_and_token(target, draft, tokens, rng)[::-1]


def swapped(target, draft, tokens, rng):
    """Names its arguments the wrong way round."""
    return naive(np.concatenate([draft, target[-1:]]), target[:-1], tokens, rng)


CHAINS = {
    swapped: "the target's rows and the draft's are taken for each other",
    takes_logits: "rows are taken for logits",
    pads_with_zeros: "answers are padded with 0",
    last_token_alone: "accepted tokens are missing",
    count_and_token: "the answer is the number of accepted drafts",
    token_and_count: "the answer is a token and the number",
}


@pytest.mark.parametrize("verifier", CHAINS)
def test_a_mistake_of_calling_is_named(verifier):
    result = audit(verifier, trials=20_000)
    assert result.verdict is Verdict.LOSSY
    assert result.findings[0].mechanism.startswith(CHAINS[verifier])
    assert "it shows no departure in 4,0" in result.findings[0].mechanism


def test_rows_taken_for_each_other_are_named_on_paths_too():
    def of_paths(target, draft, tokens, rng):
        return swapped(target[0], draft[0], tokens[0], rng)

    result = audit(of_paths, "paths", trials=20_000)
    assert result.findings[0].mechanism.startswith(CHAINS[swapped])


def nodes_for_tokens(target, draft, parents, tokens, rng, root=False):
    """Sampler match on a tree, which gives the numbers of the nodes that it follows."""
    node, emitted = 0, [0] if root else []
    while True:
        token = pick(target[node], rng.random())
        below = [child for child in np.flatnonzero(parents == node) if tokens[child] == token]
        if not below:
            return [*emitted, token]
        node = int(below[0])
        emitted.append(node)


def test_numbers_of_nodes_are_named_whether_they_look_like_tokens_or_not():
    result = audit(nodes_for_tokens, "tree", policy="Static(2x2)", trials=20_000)
    said = result.failure.detail if result.failure else result.findings[0].mechanism
    assert "numbers of nodes are given for tokens: with the nodes' tokens read in their place" in said


def test_a_hub_accepted_always_is_no_number_of_a_node():
    """Its first token is 0 always, as the number of the root would be."""
    defect = DEFECTS["sure_hub_accepted"]
    result = audit(defect.broken, "tree", batched=True, cases=defect.cases, trials=400_000)
    assert "numbers of nodes" not in result.findings[0].mechanism


@pytest.mark.parametrize("seed", [2, 3])
def test_a_mistake_whose_undoing_helps_on_one_case_alone_is_not_named(seed):
    """Cut before a token of one value, and handed logarithms, it departs on other cases than nearly equal rows."""
    defect = DEFECTS["block_cut_by_value"]
    result = audit(defect.broken, "chain", batched=True, trials=600_000, seed=seed)
    assert ": handed the logarithms" not in result.findings[0].mechanism


WRONG = [name for name, defect in DEFECTS.items() if defect.form is Form.CHAIN and name != "padded_width_escapes"]


@pytest.mark.parametrize("name", WRONG[::3])
def test_a_wrong_verifier_that_is_called_rightly_gets_no_mistake(name):
    defect = DEFECTS[name]
    result = audit(defect.broken, "chain", batched=True, cases=defect.shown_on, trials=200_000)
    assert ": handed the logarithms" not in result.findings[0].mechanism
    assert "it shows no departure" not in result.findings[0].mechanism


