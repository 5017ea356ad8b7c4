"""What an audit notes beside the law: acceptance, streams, calling in another way, faulty rows."""

import re

import numpy as np
import pytest
from draws import pick
from one_call import QUICK, naive

from veridraft.simulate import Case, Trait, Verdict, audit
from veridraft.simulate.defects.correct.token_wise import TokenWise
from veridraft.simulate.forms.drawing import Drawing, token_wise_acceptance
from veridraft.simulate.forms.form import Form
from veridraft.theory import Chain, MarkovPair, block_efficiency
from veridraft.theory.pairs import iid_pair


def notes(result):
    return {seen.trait: seen.detail for seen in result.observations}


def test_a_vocabulary_of_one_token_is_audited():
    case = Case("one", iid_pair([1.0], [1.0]), Chain(3), "a single token")
    result = audit(lambda target, draft, tokens, rng: [*tokens, 0], cases=[case], trials=500)
    assert result.verdict is Verdict.NO_DEFECT_FOUND
    assert result.cases[0].length == 4 and result.cases[0].mean_acceptance_length == 3.0


def test_a_verifier_that_ignores_the_drafts_is_lossless_whatever_its_answers_length():
    """Every position from the target, in rows without context: exact, and longer than any verifier of drafts."""

    def free(target, draft, tokens, rng):
        return np.stack([[rng.choice(len(row), p=row) for row in rows] for rows in target])

    case = Case("iid", iid_pair([0.7, 0.2, 0.1], [0.1, 0.2, 0.7]), Chain(2), "rows without context")
    result = audit(free, batched=True, cases=[case], trials=6_000)
    assert result.verdict is Verdict.NO_DEFECT_FOUND
    assert Trait.UNDRAFTED in notes(result)
    assert result.cases[0].mean_acceptance_length < result.cases[0].optimum


def test_a_finding_by_length_names_string_and_place():
    case = Case("one", MarkovPair([[0.5, 0.3, 0.2]] * 3, [[0.2, 0.25, 0.55]] * 3), Chain(2), "a test")
    result = audit(lambda target, draft, tokens, rng: [*map(int, tokens), pick(target[-1], rng.random())],
                   cases=[case], trials=20_000)  # fmt: skip
    finding = result.findings[0]
    assert finding.sign.name == "LENGTH" and finding.pattern
    assert "the string above comes with frequency" in finding.place
    assert "the law departs at token 1 of 3" in finding.place


@pytest.mark.parametrize("depth", [1, 3])
def test_the_token_wise_value_is_the_exact_one_of_naive_verification(depth):
    pair = MarkovPair([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]], [[0.2, 0.25, 0.55]] * 3)
    drawing = Drawing(Case("one", pair, Chain(depth), "a test"), Form.CHAIN)
    exact = block_efficiency("naive", Chain(depth), pair).value - 1.0
    assert token_wise_acceptance(drawing.tables[0], depth) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("verifier", [naive, lambda *words: [pick(words[0][0], words[-1].random())]])
def test_acceptance_stands_beside_the_optimum_in_every_verdict(verifier):
    text = audit(verifier, **QUICK).text()
    said = r"\d drafted tokens kept per trial \(token-wise speculative sampling 0\.\d+, lossless optimum"
    assert re.search(said, text)


def test_a_verifier_that_never_accepts_is_noted():
    result = audit(lambda target, draft, tokens, rng: [pick(target[0], rng.random())], trials=500)
    assert result.verdict is Verdict.NO_DEFECT_FOUND
    assert "is it given the drafts' rows" in result.text() and Trait.NEVER_ACCEPTS in notes(result)
    assert Trait.NEVER_ACCEPTS not in notes(audit(naive, trials=500))


def test_where_nothing_can_be_accepted_that_is_no_note():
    case = Case("disjoint", iid_pair([0.6, 0.4, 0, 0], [0, 0, 0.5, 0.5]), Chain(1), "a test")
    assert Trait.NEVER_ACCEPTS not in notes(audit(naive, cases=[case], trials=500))


def test_drafts_have_a_generator_of_their_own_and_that_is_said():
    assert "randomness that drafting shares with it was not seen" in audit(naive, **QUICK).text()


def test_one_stream_for_a_batch_is_noted():
    result = audit(TokenWise(), batched=True, trials=20_000)
    assert result.verdict is Verdict.NO_DEFECT_FOUND
    assert "without those before them" in notes(result)[Trait.SHARED_STREAM]


def test_an_engine_of_its_own_seed_answers_equal_seeds_unequally():
    steps = [0]

    def counted(target, draft, tokens, rng):
        steps[0] += 1
        return TokenWise()(target, draft, tokens, np.random.default_rng([17, steps[0]]))

    assert Trait.NOT_A_FUNCTION in notes(audit(counted, batched=True, trials=20_000))


def batched_naive(target, draft, tokens, rng):
    return [naive(*rows, rng) for rows in zip(target, draft, tokens, strict=True)]


def by_paths(target, draft, tokens, rng):
    return naive(target[0], draft[0], tokens[0], rng)


@pytest.mark.parametrize(
    ("verifier", "options", "words"),
    [
        (batched_naive, {}, "did you mean --batched?"),
        (naive, {"batched": True}, "did you mean no --batched?"),
        (by_paths, {}, "did you mean --form paths?"),
    ],
)
def test_a_callable_called_in_the_wrong_way_is_told_the_right_one(verifier, options, words):
    result = audit(verifier, trials=2_000, **options)
    assert result.verdict is Verdict.ERROR
    assert words in result.failure.detail
    assert "it was called with target (" in result.failure.detail


def test_a_callable_of_torch_is_told_so():
    torch = pytest.importorskip("torch")

    def verifier(target, draft, tokens, rng):
        return torch.multinomial(target[0], 1, generator=rng)

    detail = audit(verifier, trials=2_000).failure.detail
    assert "did you mean --arrays torch?" in detail and "rng numpy.Generator" in detail
    traced = audit(verifier, trials=2_000).failure.traceback
    assert "Traceback (most recent call last)" in traced and "torch.multinomial(target[0]" in traced


def test_faulty_rows_are_handed_over_on_request_and_what_comes_out_is_said():
    def token_behind_the_last(weights, rng):
        """A race that nan never wins."""
        best, token = -np.inf, len(weights)
        for place, score in enumerate(weights / rng.exponential(size=len(weights))):
            if score > best:
                best, token = score, place
        return token

    def verify(target, draft, tokens, rng):
        return [token_behind_the_last(target[0], rng)]

    result = audit(verify, trials=1_000, faulty_rows=True)
    details = [seen.detail for seen in result.observations if seen.trait is Trait.FAULTY_ROWS]
    assert len(details) == 7
    assert details[0] == "target rows nan: [5] was emitted, 5 being outside the vocabulary"
    assert "no error" in details[4] and details[4].startswith("target rows of sum 2")
    assert result.verdict is Verdict.NO_DEFECT_FOUND
