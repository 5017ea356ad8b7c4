"""The policy that a verifier runs with where the one that was asked for is not for it."""

from __future__ import annotations

import pytest

from veridraft.theory import VERIFIERS, Iid
from veridraft.theory.policies import Chain, HubPairs, TopPlusOne
from veridraft.theory.verifiers.fitting import fitting_policy


@pytest.mark.parametrize("name", VERIFIERS)
@pytest.mark.parametrize("depth", [1, 3])
def test_every_verifier_of_the_table_has_a_fitting_policy_of_the_same_depth(name, depth):
    found = fitting_policy(name, Iid(4, depth))
    assert VERIFIERS[name].supports(found)
    assert found.depth == depth
    assert (found == Iid(4, depth)) is VERIFIERS[name].supports(Iid(4, depth))


def test_the_order():
    names = {"naive": Chain(3), "greedy": TopPlusOne(2, 3), "spechub": HubPairs(3), "spectr": Iid(4, 3)}
    assert {name: fitting_policy(name, Iid(4, 3)) for name in names} == names


def test_an_unknown_verifier_is_refused():
    with pytest.raises(ValueError, match="unknown verifier 'foo'"):
        fitting_policy("foo", Chain(1))
