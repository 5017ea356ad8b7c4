"""Half floats: rows on a grid that the type holds, so that a right verifier passes; and cases that few are made for."""

import numpy as np
import pytest
from one_call import naive

from veridraft.simulate import Case, Form, Verdict, audit, default_cases
from veridraft.simulate.defects.broken.chains import stops_at_placeholders
from veridraft.simulate.defects.correct.token_wise import TokenWise
from veridraft.simulate.forms.cases import LARGE, more_cases
from veridraft.simulate.forms.coarse import COARSE, on_grid
from veridraft.theory import Chain, MarkovPair, dirichlet_pair


@pytest.mark.parametrize("dtype", COARSE)
@pytest.mark.parametrize("case", default_cases(Form.CHAIN), ids=lambda case: case.name)
def test_rows_on_the_grid_are_laws_that_the_type_holds_near_those_of_the_case(dtype, case):
    torch = pytest.importorskip("torch")
    bits = COARSE[dtype]
    pair, own = on_grid(case, bits).pair, case.pair.as_float()
    for context in [(), *((token,) for token in range(own.vocabulary_size))]:
        for name in ("target_row", "draft_row"):
            row, before = getattr(pair, name)(context), getattr(own, name)(context)
            assert row.sum() == 1.0 and np.abs(row - before).max() < 2.0**-bits
            kept = torch.tensor(row, dtype=getattr(torch, dtype)).double().numpy()
            assert np.array_equal(kept, row)


@pytest.mark.parametrize("dtype", COARSE)
def test_a_right_verifier_passes_on_half_floats_and_a_wrong_one_does_not(dtype):
    torch = pytest.importorskip("torch")

    def verify(target, draft, tokens, rng, right=True):
        assert target.dtype == getattr(torch, dtype)
        rows = target.double().numpy(), draft.double().numpy(), tokens.numpy()
        own = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
        answer = TokenWise()(*rows, own).tokens
        return answer if right else np.where(answer[:, :1] == 0, rows[2][:, :1], answer[:, :1])

    words = {"batched": True, "arrays": "torch", "dtype": dtype}
    assert audit(verify, trials=400_000, **words).verdict is Verdict.NO_DEFECT_FOUND
    assert audit(lambda *a: verify(*a, right=False), trials=400_000, **words).verdict is Verdict.LOSSY


def test_a_device_that_is_not_there_is_said_before_any_call():
    with pytest.raises(ValueError, match="device is for arrays='torch'"):
        audit(naive, device="cuda")
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match="device 'abacus' cannot be used"):
        audit(naive, arrays="torch", device="abacus")


def test_more_cases_have_unequal_and_empty_drafts_and_many_columns():
    lengths, large = more_cases(Form.CHAIN, batched=True)
    assert 0 in lengths.lengths and len(set(lengths.lengths)) == 4 and large.columns == LARGE
    assert more_cases(Form.TREE)[0].columns == LARGE and len(more_cases(Form.CHAIN)) == 1


def test_drafts_of_unequal_lengths_are_for_those_that_stop_at_placeholders():
    cases = more_cases(Form.CHAIN, batched=True)[:1]
    right = audit(stops_at_placeholders, batched=True, cases=cases, trials=100_000)
    assert right.verdict is Verdict.NO_DEFECT_FOUND
    assert [case.token_wise for case in right.cases][1] == 0.0 == right.cases[1].optimum
    assert audit(TokenWise(), batched=True, cases=cases, trials=100_000).verdict is not Verdict.NO_DEFECT_FOUND


def test_what_is_added_to_every_entry_adds_up_over_a_large_vocabulary():
    """1e-9 for each of 151,936 columns is a mass of 1.5e-4, all but four of them impossible."""

    def smoothed(target, draft, tokens, rng):
        return [naive_with(1e-9, *rows, rng) for rows in zip(target, draft, tokens, strict=True)]

    def naive_with(added, target, draft, tokens, rng):
        if rng.random() * draft[0, tokens[0]] < target[0, tokens[0]]:
            return [int(tokens[0])]
        sums = np.cumsum(np.maximum(target[0] - draft[0], 0) + added * 200)  # 200 times as much, to spare the time
        return [int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))]

    case = more_cases(Form.CHAIN)[0]
    result = audit(smoothed, batched=True, cases=[case], trials=2_000, batch=64)
    assert result.verdict is Verdict.LOSSY and "padding" in result.findings[0].place


def test_default_chains_have_masked_rows_and_a_vocabulary_of_a_multiple_of_8():
    cases = {case.name: case for case in default_cases(Form.CHAIN)}
    masked = cases["masked"].pair
    assert masked.vocabulary_size == 16
    patterns = {tuple(masked.target_row((token,)) == 0) for token in range(16)}
    assert len(patterns) > 8 and all(0 < sum(pattern) < 16 for pattern in patterns)


def test_a_case_prints_what_it_exposes_and_its_rows():
    case = Case("one", MarkovPair([[0.5, 0.5]] * 2, [[0.25, 0.75]] * 2), Chain(2), "something", ((), (1,)))
    assert str(case).splitlines() == [
        "one: something (Chain(2), V = 2, 2 requests)", "  target at (): 0.5 0.5", "  draft at (): 0.25 0.75",
    ]  # fmt: skip
    assert str(Case("wide", dirichlet_pair(40, seed=1), Chain(1), "many")).count("...") == 2
