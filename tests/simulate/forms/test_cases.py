"""Cases made of a policy or of a target: which they are, and that audits on them tell right from wrong."""

from fractions import Fraction

import numpy as np
import pytest

from veridraft.simulate import Case, TargetOnly, Verdict, audit, policy_cases
from veridraft.simulate.forms.cases import MOST_BY_POLICY
from veridraft.simulate.forms.choice import target_case
from veridraft.simulate.forms.form import Form
from veridraft.theory import Chain, Iid, MarkovPair, TopPlusOne, parse_policy
from veridraft.theory.policies import HubPairs

ROW = [0.5, 0.3, 0.2]


def pick(row, uniform):
    return int(min(np.searchsorted(np.cumsum(row), uniform, side="right"), np.flatnonzero(row)[-1]))


def without_replacement(target, draft, parents, tokens, rng, forgetful=False):
    """A tree's children tried in draw order; what was rejected leaves both rows, or with ``forgetful`` the draft's."""
    node, emitted = 0, []
    while True:
        rest, drawn, child = target[node].copy(), draft[node].copy(), None
        for candidate in np.flatnonzero(parents == node):
            token = tokens[candidate]
            if rng.random() * drawn[token] < rest[token]:
                child = candidate
                break
            left = rest if forgetful else np.maximum(rest - drawn, 0)
            rest = left / left.sum() if left.sum() > 1e-12 else rest
            drawn[token] = 0
            drawn = drawn / drawn.sum() if drawn.sum() > 0 else drawn
        if child is None:
            return [*emitted, pick(rest, rng.random())]
        emitted.append(int(tokens[child]))
        node = child


def test_draws_without_replacement_are_audited_with_their_own_policy():
    result = audit(without_replacement, "tree", policy="Static(2x1)", trials=1200, chosen_uniforms=False)
    assert result.verdict is Verdict.NO_DEFECT_FOUND
    assert {case.policy for case in result.cases} == {"Static(2x1)"}


def test_a_residual_that_is_not_taken_is_found():
    def forgetful(*arguments):
        return without_replacement(*arguments, forgetful=True)

    result = audit(forgetful, "tree", policy="Static(2x1)", trials=5000)
    assert result.verdict is Verdict.LOSSY


@pytest.mark.parametrize("policy", [TopPlusOne(2, 1), HubPairs(1), parse_policy("DySpec(3)"), Iid(2, 2)])
@pytest.mark.parametrize("batched", [False, True])
def test_cases_of_a_policy_have_strings_that_can_be_counted_and_names_of_their_own(policy, batched):
    cases = policy_cases(policy, Form.TREE, batched)
    assert len({case.name for case in cases}) == len(cases) >= 10
    assert all(case.policy is policy for case in cases)
    assert all(case.pair.vocabulary_size ** (policy.depth + 1) <= MOST_BY_POLICY for case in cases)
    assert max(case.requests for case in cases) == (3 if batched else 1)


def test_a_deep_policy_keeps_the_cases_of_few_strings():
    names = [case.name for case in policy_cases(Chain(6), Form.CHAIN)]
    assert "two tokens" in names
    assert "long tail" not in names


class Coin:
    """A target that is no Pair: rows as plain lists."""

    vocabulary_size = 2

    def target_row(self, context):
        return [Fraction(1, 4), Fraction(3, 4)] if len(context) % 2 else [0.5, 0.5]


def toss(rng, flaw=0.0):
    emitted = []
    for place in range(1 + int(rng.integers(3))):
        emitted.append(int(rng.random() < (0.75 if place % 2 else 0.5 + flaw)))
    return emitted


def test_what_drafts_by_itself_is_held_against_a_target():
    given = {"form": "generate", "target": Coin(), "length": 3, "chosen_uniforms": False}
    assert audit(toss, trials=2000, **given).verdict is Verdict.NO_DEFECT_FOUND
    result = audit(lambda rng: toss(rng, 0.2), trials=20_000, **given)
    assert result.verdict is Verdict.LOSSY
    assert result.findings[0].case == "target"


def test_a_batch_that_drafts_by_itself_is_held_against_a_target():
    def tosses(rng, trials):
        return [toss(rng) for _ in range(trials)]

    result = audit(tosses, "generate", batched=True, target=Coin(), length=2, trials=2000, chosen_uniforms=False)
    assert result.verdict is Verdict.NO_DEFECT_FOUND


def test_a_target_is_wrapped_unless_it_is_a_pair():
    pair = MarkovPair([ROW] * 3, [ROW] * 3)
    assert target_case(pair, 2).pair is pair
    case = target_case(Coin(), 1)
    assert isinstance(case.pair, TargetOnly)
    assert case.policy.depth == 0
    assert case.pair.draft_row((1,)).tolist() == [0.25, 0.75]


class Rowless:
    vocabulary_size = 2

    def target_row(self, context):
        raise KeyError("nothing here")


GIVEN = {"verifier": toss, "form": "generate", "target": Coin(), "length": 2}
WRONG = {
    "no target": ({"target": None, "length": None}, ValueError, "the form generate needs target"),
    "no length": ({"length": None}, ValueError, "target and length belong together"),
    "length alone": ({"target": None}, ValueError, "target and length belong together"),
    "no tokens": ({"length": 0}, ValueError, "length must be at least 1, but is 0"),
    "long strings": ({"length": 40}, ValueError, "strings of 40 tokens over a vocabulary of 2"),
    "no target at all": ({"target": 3}, TypeError, "target must have vocabulary_size and target_row"),
    "a target without rows": ({"target": Rowless()}, ValueError, "target has no row at context .*KeyError"),
    "another form": ({"form": "chain"}, ValueError, "target is for the form generate, but form is chain"),
    "target and policy": ({"policy": "Chain(2)"}, ValueError, "policy and target exclude each other"),
    "policy in generate": (
        {"policy": "Chain(2)", "target": None, "length": None}, ValueError, "the form generate needs target",
    ),
    "cases and policy": (
        {"form": "chain", "cases": [], "policy": "Chain(2)", "target": None, "length": None}, ValueError,
        "cases and policy exclude each other",
    ),
    "no policy": (
        {"form": "tree", "policy": 3, "target": None, "length": None},
        TypeError,
        "policy must be a Policy, or its text",
    ),
    "a policy of no name": (
        {"form": "tree", "policy": "Bush(3)", "target": None, "length": None}, ValueError, "policy 'Bush",
    ),
    "a policy of no chain": (
        {"form": "chain", "policy": "Static(2x2)", "target": None, "length": None}, TypeError, "form chain needs",
    ),
    "a policy too deep": (
        {"form": "chain", "policy": "Chain(30)", "target": None, "length": None}, ValueError, "fits no case",
    ),
    "no cases": ({"form": "chain", "cases": [], "target": None, "length": None}, ValueError, "must not be empty"),
    "contexts": (
        {"form": "chain", "target": None, "length": None,
         "cases": [Case("two", MarkovPair([ROW] * 3, [ROW] * 3), Chain(1), "", ((), (0,)))]},
        ValueError, "case 'two' has 2 contexts; without batched",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_together_is_said_before_any_call(name):
    changes, kind, words = WRONG[name]
    with pytest.raises(kind, match=words):
        audit(**GIVEN | changes)
