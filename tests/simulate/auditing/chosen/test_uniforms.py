"""Chosen uniforms: right verifiers stand them, and what happens at 0 or below 1 alone is brought out."""

import doctest
from types import SimpleNamespace

import numpy as np
import pytest
from white_boxes import draw, residual, speculative

from veridraft.simulate import PROCEDURES
from veridraft.simulate.auditing.chosen import generator as chosen_generator
from veridraft.simulate.auditing.chosen import uniforms as chosen_uniforms
from veridraft.simulate.auditing.chosen.generator import MOST_CHOSEN, ChosenGenerator
from veridraft.simulate.auditing.chosen.plans import BELOW_ONE, BELOW_ONE_FLOAT32, PLANS, boundaries
from veridraft.simulate.forms.calls import Caller
from veridraft.simulate.forms.cases import Case, default_cases
from veridraft.simulate.forms.drawing import Drawing
from veridraft.simulate.forms.form import Form
from veridraft.simulate.forms.guard import Fault
from veridraft.theory import Chain, Iid, MarkovPair
from veridraft.theory.policies import HubPairs

SINGLE = ("naive", "block")


def case(target, draft):
    size = len(target)
    return Case("case", MarkovPair([target] * size, [draft] * size), Chain(1), "a test")


def looked(verifier, one, form=Form.CHAIN, batched=False, drafts=6, dtype="float64", **drawing):
    caller = Caller(verifier, form, batched, dtype=dtype)
    rng = np.random.default_rng(3)
    return chosen_uniforms.chosen_uniforms(caller, Drawing(one, form, **drawing), rng, drafts=drafts)


ZEROS = case((0.0, 0.5, 0.3, 0.0, 0.2, 0.0), (0.3, 0.0, 0.25, 0.25, 0.1, 0.1))
SHORT = case((0.7, 0.1, 0.1, 0.1), (0.25, 0.25, 0.25, 0.25))  # 0.7 + 0.1 + 0.1 + 0.1 is the largest float below 1


def inverse(row, rng):
    """The usual way, safe against rounding."""
    sums = np.cumsum(row)
    return int(np.searchsorted(sums / sums[-1], rng.random(), side="right"))


def chosen_row(target, draft, tokens, rng, sampler=inverse, accepts=np.less):
    """Speculative sampling with another way to draw and to accept."""
    for place, token in enumerate(tokens):
        if not accepts(rng.random(), target[place, token] / draft[place, token]):
            return [*tokens[:place], sampler(residual(target[place], draft[place]), rng)]
    return [*tokens, sampler(target[-1], rng)]


@pytest.mark.parametrize("name", PROCEDURES)
def test_the_procedures_of_this_package_stand_all_of_them(name):
    for one in default_cases(Form.CHAIN if name in SINGLE else Form.PATHS, batched=True):
        if one.lengths is None and one.policy.depth < 4:
            found = looked(PROCEDURES[name], one, Form.PATHS, batched=True, drafts=2)
            assert found.findings == () and found.not_injected == ()
            assert found.calls == len(PLANS) and found.uniforms > 0


@pytest.mark.parametrize("one", [ZEROS, SHORT], ids=["zeros", "short"])
def test_usual_implementations_stand_all_of_them(one):
    for verifier in (
        chosen_row,
        speculative,  # rng.choice(p=...)
        lambda *a: chosen_row(*a, sampler=lambda row, rng: rng.choice(len(row), p=row)),
        lambda *a: chosen_row(*a, sampler=lambda row, rng: min(inverse(row, rng), int(np.flatnonzero(row)[-1]))),
        lambda *a: chosen_row(*a, accepts=lambda u, ratio: u < min(1, ratio)),
    ):
        assert looked(verifier, one).findings == ()


class TestDefects:
    """What is seen at 0, or just below 1, alone."""

    def test_an_impossible_token_accepted_at_0(self):
        found = looked(lambda *a: chosen_row(*a, accepts=np.less_equal), ZEROS)
        first = found.findings[0]
        assert first.fault is None and first.uniforms == "every uniform 0"
        assert first.emitted[0] in (0, 3, 5) and first.inputs[-1][0] == first.emitted[0]
        assert first.essential == (0,) and first.values[0] == 0.0
        assert "once in 2**53" in first.text() and "0.0 as uniform 1" in first.text()

    def test_an_impossible_token_drawn_at_0(self):
        def first_reaching(row, rng):
            return int((np.cumsum(row) >= rng.random()).argmax())

        found = looked(lambda *a: chosen_row(*a, sampler=first_reaching), ZEROS)
        assert {finding.emitted[-1] for finding in found.findings} == {0}
        assert all(finding.values[finding.essential[-1]] == 0.0 for finding in found.findings)

    @pytest.mark.parametrize("batched", [False, True])
    def test_a_sum_that_rounding_leaves_below_1(self, batched):
        def single(target, draft, tokens, rng):
            sums = np.cumsum(target[0])
            return [int(np.searchsorted(sums, rng.random(), side="right"))]

        def several(target, draft, tokens, rng):
            sums = np.cumsum(target[:, 0], axis=-1)
            return (sums <= rng.random(len(target))[:, None]).sum(axis=-1, keepdims=True)

        verifier = several if batched else single
        found = looked(verifier, SHORT, batched=batched)
        assert {finding.fault for finding in found.findings} == {Fault.OUTSIDE_VOCABULARY}
        assert found.findings[0].uniforms == "every uniform the largest float64 below 1"
        assert found.findings[0].essential == (0,) and found.findings[0].values == (BELOW_ONE,)

    def test_padding_behind_a_sum_that_is_below_1(self):
        def last_resort(target, draft, tokens, rng):
            return [min(int(np.searchsorted(np.cumsum(target[0]), rng.random(), side="right")), len(target[0]) - 1)]

        assert looked(last_resort, SHORT).findings == ()
        finding = looked(last_resort, SHORT, pad_to=6).findings[0]
        assert finding.fault is None and "the padding 5" in finding.detail

    def test_a_uniform_rounded_to_float32(self):
        def rounded(target, draft, tokens, rng):
            if np.float32(rng.random()) < np.float32(target[0, tokens[0]] / draft[0, tokens[0]]):
                return list(tokens)
            weights = np.maximum(target[0] - draft[0], 0)
            return [rng.choice(len(weights), p=weights / weights.sum())]

        with np.errstate(invalid="ignore"):
            found = looked(rounded, case((0.0, 0.5, 0.5), (0.0, 0.5, 0.5)))
        assert found.findings[0].uniforms == "every uniform the largest float64 below 1"
        assert found.findings[0].fault is Fault.RAISED and found.findings[0].essential == (0,)

    def test_a_single_precision_sum_needs_no_exact_value(self):
        size = 3000
        row = np.full(size, 1 / size)

        def verify(target, draft, tokens, rng):
            return [int(np.searchsorted(np.cumsum(target[0] * np.float32(0.9)), rng.random()))]

        found = looked(verify, case(row, row), dtype="float32", drafts=1)
        assert found.findings[0].fault is Fault.OUTSIDE_VOCABULARY

    def test_several_uniforms_at_once_are_said_to_be_hardly_seen(self):
        def race(target, draft, tokens, rng):
            with np.errstate(divide="ignore", invalid="ignore"):
                return [int(np.argmax(np.log(target[0]) - np.log(-np.log(rng.random(len(target[0]))))))]

        found = looked(race, ZEROS)
        assert found.findings[0].uniforms == "every uniform 0" and len(found.findings[0].essential) > 1
        assert "at once" in found.findings[0].chance

    def test_trees_and_paths_and_generators(self):
        def tree(target, draft, parents, tokens, rng):
            child = int(np.flatnonzero(parents == 0)[0])
            accepted = rng.random() <= target[0, tokens[child]] / draft[0, tokens[child]]
            return [tokens[child]] if accepted else [draw(target[0], rng)]

        zeros = ZEROS.pair
        for policy in (HubPairs(1), Iid(2, 1)):
            found = looked(tree, Case("tree", zeros, policy, "a test"), Form.TREE)
            assert found.findings and found.findings[0].emitted == (found.findings[0].inputs[-1][1],)
        assert looked(lambda rng: [int((np.cumsum([0.0, 0.5, 0.5]) >= rng.random()).argmax())],
                      case((0.0, 0.5, 0.5), (0.0, 0.5, 0.5)), Form.GENERATE).findings[0].emitted == (0,)  # fmt: skip

    def test_requests_are_told_apart(self):
        rows = [(0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)]
        pair = MarkovPair(rows, [(0.25, 0.25, 0.5)] * 3)
        two = Case("requests", pair, Chain(1), "a test", ((1,), (2,)))

        def first_row_for_all(target, draft, tokens, rng):
            return (np.cumsum(target[:1, 0], axis=-1) > rng.random(len(target))[:, None]).argmax(axis=-1)[:, None]

        found = looked(first_row_for_all, two, batched=True)
        assert found.findings[0].request == 1


class TestBounds:
    """What is no defect, or cannot be tried."""

    def test_a_loop_until_something_is_drawn_ends(self):
        def rejection(target, draft, tokens, rng):
            while True:
                token = rng.integers(len(target[0]))
                if rng.random() < target[0, token]:
                    return [token]

        found = looked(rejection, SHORT, drafts=1)
        assert found.findings == () and found.not_injected == ("integers",)
        assert found.uniforms > MOST_CHOSEN

    def test_what_could_not_be_injected_is_listed(self):
        def race(target, draft, tokens, rng):
            with np.errstate(divide="ignore"):
                return [int(np.argmax(target[0] / rng.exponential(size=len(target[0]))))]

        found = looked(race, ZEROS)
        assert (found.findings, found.not_injected, found.uniforms) == ((), ("exponential",), 0)

    def test_a_failure_without_uniforms_is_not_theirs(self):
        assert looked(lambda *arrays: [][0], ZEROS).findings == ()

    def test_torch_is_left_alone(self):
        caller = SimpleNamespace(arrays="torch")
        found = chosen_uniforms.chosen_uniforms(caller, Drawing(ZEROS, Form.CHAIN), np.random.default_rng(0))
        assert (found.not_injected, found.calls) == (("torch.Generator",), 0)

    def test_counts_are_checked(self):
        with pytest.raises(ValueError, match="drafts must be at least 1"):
            looked(chosen_row, ZEROS, drafts=0)

    def test_boundaries_are_ratios_and_sums(self):
        drawing = Drawing(case((0.5, 0.5), (0.25, 0.75)), Form.CHAIN)
        arrays = drawing.draw(1, np.random.default_rng(0))[0][0].arrays
        assert boundaries(arrays, drawing).tolist() == pytest.approx([0, 0.25, 0.5, 2 / 3])


class TestChosenGenerator:
    """A generator like NumPy's, but for its uniforms."""

    @pytest.fixture
    def rng(self):
        return ChosenGenerator(lambda first, count, rng: np.full(count, BELOW_ONE), seed=1)

    def test_shapes_and_types(self, rng):
        assert isinstance(rng, np.random.Generator)
        assert isinstance(rng.random(), float) and rng.random((2, 3)).shape == (2, 3)
        assert rng.random(dtype=np.float32) == np.float32(BELOW_ONE_FLOAT32)
        assert rng.random(2, dtype=np.float32).dtype == np.float32
        out = np.zeros(3)
        assert rng.random(out=out) is out and (out == BELOW_ONE).all()
        assert rng.uniform([0, 1], [1, 2]).shape == (2,)

    def test_numpy_chooses_by_the_same_uniforms(self, rng):
        assert rng.choice(4, p=[0.25, 0.25, 0.5, 0.0]) == 2
        assert rng.choice(["a", "b"], 3, p=[0.5, 0.5]).tolist() == ["b"] * 3
        assert rng.drawn_otherwise == []
        assert rng.choice(5) < 5 and rng.normal(size=2).shape == (2,)
        assert {"choice", "normal"} <= set(rng.drawn_otherwise)


@pytest.mark.parametrize("module", [chosen_generator, chosen_uniforms])
def test_the_examples_in_the_docstrings(module):
    assert doctest.testmod(module).failed == 0
