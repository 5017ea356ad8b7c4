"""Verifiers that the theory's law decides: which of them are for small vocabularies."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from veridraft.gpu.verification.theory_route import too_large
from veridraft.theory.policies.arguments import parse_policy
from veridraft.theory.policies.paths import Chain, Iid


def test_a_verifier_that_lists_every_child_list_is_for_small_vocabularies():
    said = "optimal_plan lists every child list, 49152^4 with Iid(4, 3): it is for small vocabularies"
    assert too_large("optimal_plan", Iid(4, 3), 49152) == said
    assert "49152^1" in too_large("optimal_without_replacement", Chain(3), 49152), "the plan alone has 49152^2 cells"
    assert "64^4" in too_large("lifted_optimal_plan", parse_policy("StaticIid(2x2)"), 64), "merged draws pool theirs"
    assert not too_large("optimal_plan", Iid(2, 3), 64)
    assert not too_large("optimal", Iid(4, 3), 49152)
