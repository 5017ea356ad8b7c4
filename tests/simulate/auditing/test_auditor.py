"""audit(): verdicts in every form, findings that name what is wrong, what a pass is worth."""

import json

import numpy as np
import pytest
from draws import choice

from veridraft.simulate import PROCEDURES
from veridraft.simulate.auditing.auditor import AuditInterrupted, audit
from veridraft.simulate.auditing.findings import Sign, Trait
from veridraft.simulate.auditing.verdict import Verdict
from veridraft.simulate.batches.row_tables import draw_batch, tabulate
from veridraft.simulate.defects.broken.planted import bias_total_variation, biased
from veridraft.simulate.defects.table import DEFECTS
from veridraft.simulate.forms.cases import Case, default_cases
from veridraft.simulate.forms.drawing import Drawing, string_law
from veridraft.simulate.forms.form import Form, path_inputs, tree_arguments
from veridraft.theory import Chain, Delayed, DraftTree, Iid, MarkovPair, dirichlet_pair, parse_policy
from veridraft.theory.policies import HubPairs

TARGET, DRAFT = [0.5, 0.3, 0.2], [0.2, 0.25, 0.55]
PAIR = MarkovPair([TARGET] * 3, [DRAFT] * 3)


def pick(weights, rng):
    return choice(weights / weights.sum(), rng)


def token_wise(target, draft, tokens, rng):
    emitted = []
    for p, q, x in zip(target, draft, tokens, strict=False):
        if rng.random() * q[x] >= p[x]:
            return [*emitted, pick(np.maximum(p - q, 0.0), rng)]
        emitted.append(x)
    return [*emitted, pick(target[-1], rng)]


def token_wise_without_residual(target, draft, tokens, rng):
    emitted = []
    for p, q, x in zip(target, draft, tokens, strict=False):
        if rng.random() * q[x] >= p[x]:
            return [*emitted, pick(p, rng)]
        emitted.append(x)
    return [*emitted, pick(target[-1], rng)]


def sampler_match_on_tree(target, draft, parents, tokens, rng):
    node, emitted = 0, []
    while True:
        emitted.append(pick(target[node], rng))
        below = [child for child in np.flatnonzero(parents == node) if tokens[child] == emitted[-1]]
        if not below:
            return emitted
        node = below[0]


def one_case(policy, pair=PAIR, **fields):
    return [Case("one", pair, policy, "a test", **fields)]


def test_a_lossless_chain_verifier_passes_and_says_what_a_pass_is_worth():
    result = audit(token_wise, cases=one_case(Chain(2)), trials=3000)
    assert result.verdict is Verdict.NO_DEFECT_FOUND and result.exit_status == 0
    assert 2400 <= result.trials <= 3000
    assert "A pass is no proof" in result.text()
    assert 0 < result.smallest_total_variation < 1


def test_a_lossy_chain_verifier_is_found_with_case_string_and_frequencies():
    result = audit(token_wise_without_residual, trials=30_000)
    assert result.verdict is Verdict.LOSSY and result.exit_status == 1
    finding = result.findings[0]
    assert finding.sign is Sign.FREQUENCY and finding.error <= 1e-6
    assert finding.expected != pytest.approx(finding.observed, abs=0.01)
    for word in ("LOSSY", finding.case, "expected", "observed"):
        assert word in result.text()


def test_the_tree_form_takes_repeated_and_merged_siblings():
    for multiplicity in (True, False):
        result = audit(sampler_match_on_tree, "tree", cases=one_case(Iid(3, 2)), trials=2000, multiplicity=multiplicity)
        assert result.verdict is Verdict.NO_DEFECT_FOUND


@pytest.mark.parametrize("policy", [parse_policy("Static(2x2)"), HubPairs(1)], ids=str)
def test_the_tree_form_takes_policies_that_do_not_draw_paths(policy):
    result = audit(sampler_match_on_tree, "tree", cases=one_case(policy), trials=1500)
    assert result.verdict is Verdict.NO_DEFECT_FOUND


@pytest.mark.parametrize("name", sorted(PROCEDURES))
def test_every_procedure_passes_in_the_form_paths(name):
    policy = Chain(2) if name in ("naive", "block") else Delayed(2, 1, 1)
    result = audit(PROCEDURES[name], Form.PATHS, batched=True, cases=one_case(policy), trials=30_000)
    assert result.verdict is Verdict.NO_DEFECT_FOUND


def test_requests_side_by_side_are_judged_each_by_its_own_law():
    pair = dirichlet_pair(3, seed=5, concentration=0.5)
    cases = one_case(Iid(2, 1), pair, contexts=((), (1,), (2, 0)))
    result = audit(PROCEDURES["specinfer"], "paths", batched=True, cases=cases, trials=30_000)
    assert result.verdict is Verdict.NO_DEFECT_FOUND
    assert [case.request for case in result.cases] == [0, 1, 2]
    assert not np.allclose(result.cases[0].law, result.cases[1].law)


def test_a_planted_bias_is_found_and_its_size_estimated():
    epsilon = 0.1
    broken = biased(PROCEDURES["naive"], epsilon, 2)
    result = audit(broken, "paths", batched=True, cases=one_case(Chain(1)), trials=200_000)
    assert result.verdict is Verdict.LOSSY
    assert result.findings[0].pattern[0] == 2
    assert bias_total_variation(epsilon, 2, np.array(TARGET)) == pytest.approx(0.08)


def test_accepting_more_than_the_optimum_is_evidence_by_itself():
    def greedy(target, draft, tokens, rng):
        trials = np.arange(len(tokens))
        last = np.array([pick(row, rng) for row in target[trials, -1]])
        return np.column_stack([tokens, last])

    result = audit(greedy, batched=True, cases=one_case(Chain(2)), trials=20_000)
    assert result.verdict is Verdict.LOSSY
    assert result.cases[0].mean_acceptance_length == 2.0 > result.cases[0].optimum


def test_undrafted_tokens_are_noted():
    def not_drafted(target, draft, tokens, rng):
        return [pick(row, rng) for row in target]

    result = audit(not_drafted, cases=one_case(Chain(2)), trials=500)
    assert Trait.UNDRAFTED in {observation.trait for observation in result.observations}


def test_the_form_generate_judges_against_exact_conditionals():
    def right(rng):
        return [pick(np.array(TARGET), rng) for _ in range(5)]

    def wrong(rng):
        return [pick(np.array(DRAFT), rng) for _ in range(5)]

    cases = one_case(Chain(1))
    assert audit(right, "generate", cases=cases, trials=2000).verdict is Verdict.NO_DEFECT_FOUND
    assert audit(wrong, "generate", cases=cases, trials=2000).verdict is Verdict.LOSSY


def test_padding_columns_are_zero_and_a_token_there_is_impossible():
    def last_column(target, draft, tokens, rng):
        assert target.shape[1] == draft.shape[1] == 8
        return [7]

    result = audit(last_column, cases=one_case(Chain(1)), trials=500, pad_to=8)
    assert result.verdict is Verdict.LOSSY
    assert result.findings[0].sign is Sign.IMPOSSIBLE and "padding" in result.findings[0].place


def test_torch_arrays_and_generator_are_handed_over_on_request():
    torch = pytest.importorskip("torch")

    def verifier(target, draft, tokens, rng):
        assert target.dtype == torch.float32 and tokens.dtype == torch.int64
        ratio = target.gather(1, tokens[:, None])[:, 0] if len(tokens) == len(target) else None
        assert ratio is None
        for place, token in enumerate(tokens.tolist()):
            p, q = target[place], draft[place]
            if torch.rand((), generator=rng) * q[token] >= p[token]:
                rest = torch.multinomial((p - q).clamp(min=0), 1, generator=rng)
                return torch.cat([tokens[:place], rest])
        return torch.cat([tokens, torch.multinomial(target[-1], 1, generator=rng)])

    result = audit(verifier, cases=one_case(Chain(1)), trials=400, arrays="torch", dtype="float32")
    assert result.verdict is Verdict.NO_DEFECT_FOUND


def test_equal_seeds_give_equal_audits_and_the_result_is_json():
    cases = one_case(Chain(2))
    first, second = (audit(token_wise_without_residual, cases=cases, trials=3000, seed=4) for _ in range(2))
    apart = {"seconds": 0}
    assert first.to_json() | apart == second.to_json() | apart
    assert json.loads(json.dumps(first.to_json()))["verdict"] == first.verdict.value


def test_too_little_time_leaves_it_undecided():
    result = audit(token_wise, trials=10_000_000, seconds=0.2)
    assert result.verdict is Verdict.UNDECIDED and result.exit_status == 2


def test_an_interrupt_keeps_what_was_seen():
    def stop(done, asked):
        if done > 500:
            raise KeyboardInterrupt

    with pytest.raises(AuditInterrupted) as caught:
        audit(token_wise, trials=100_000, progress=stop)
    assert caught.value.partial.trials > 500
    assert caught.value.partial.verdict is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "chains"}, "form 'chains' is none of"),
        ({"cases": []}, "cases must not be empty"),
        ({"level": 0}, "level must lie in"),
        ({"trials": 0}, "trials must be at least 1"),
        ({"seconds": 0}, "seconds must be above 0"),
        ({"call_seconds": -1}, "call_seconds must be above 0"),
        ({"arrays": "jax"}, "arrays must be one of"),
        ({"dtype": "int8"}, "dtype must name floats"),
        ({"form": "chain", "cases": one_case(Iid(2, 1))}, "needs a policy Chain"),
        ({"cases": one_case(Chain(1), contexts=((), (0,)))}, "without batched"),
    ],
)
def test_what_is_asked_wrongly_is_said_before_any_call(options, message):
    def never(*arguments):
        raise AssertionError("called")

    with pytest.raises((ValueError, TypeError), match=message):
        audit(never, **options)


@pytest.mark.parametrize("form", list(Form))
def test_default_cases_have_names_of_their_own_and_reasons(form):
    cases = default_cases(form, batched=True)
    assert len({case.name for case in cases}) == len(cases)
    assert all(case.exposes for case in cases)


@pytest.mark.parametrize("form", [Form.CHAIN, Form.PATHS, Form.TREE])
def test_default_cases_span_depths_and_widths(form):
    policies = [case.policy for case in default_cases(form)]
    assert {policy.depth for policy in policies} >= {1, 2, 4}
    assert {policy.K for policy in policies} == ({1} if form is Form.CHAIN else {1, 2, 3, 4})


def test_slots_of_a_tree_repeat_equal_siblings_each_with_its_own_continuation():
    tables = tabulate(dirichlet_pair(2, seed=3), 2)
    batch = draw_batch(tables, Iid(3, 2), 200, np.random.default_rng(0))
    target, draft, parents, tokens = path_inputs(Form.TREE, batch)[0].arrays
    assert parents[0].tolist() == [-1, 0, 0, 0, 1, 2, 3]
    np.testing.assert_array_equal(tokens[:, 1:4], batch.paths[:, :, 0])
    np.testing.assert_array_equal(tokens[:, 4:], batch.paths[:, :, 1])
    np.testing.assert_array_equal(target[:, 4:], batch.target[:, :, 2])
    assert not draft[:, 4:].any()


def test_merged_trees_are_the_draft_trees_of_their_paths():
    pair = dirichlet_pair(2, seed=3)
    batch = draw_batch(tabulate(pair, 3), Delayed(3, 1, 2), 300, np.random.default_rng(1))
    seen = 0
    for inputs in path_inputs(Form.TREE, batch, multiplicity=False):
        for place, trial in enumerate(inputs.trials):
            tree = DraftTree.from_paths(batch.paths[trial], pair.target_row, pair.draft_row, trunk=1)
            wanted = tree_arguments(tree, multiplicity=False)
            assert nodes(inputs.arrays[2][place], inputs.arrays[3][place]) == nodes(wanted[2], wanted[3])
            seen += 1
    assert seen == 300


def nodes(parents, tokens):
    """The contexts of a tree's nodes."""
    contexts = [()]
    for parent, token in zip(parents[1:], tokens[1:], strict=True):
        contexts.append((*contexts[parent], int(token)))
    assert len(set(contexts)) == len(contexts)
    return set(contexts)


def test_short_drafts_are_padded_and_their_strings_completed():
    cases = one_case(Chain(3), contexts=((), ()), lengths=(1, 3))
    drawing = Drawing(cases[0], Form.CHAIN)
    inputs, paths = drawing.draw(10, np.random.default_rng(0))
    target, draft, tokens = inputs[0].arrays
    assert (tokens[::2, 1:] == -1).all() and (tokens[1::2] >= 0).all()
    assert not draft[::2, 1:].any() and not target[::2, 2:].any()
    np.testing.assert_array_equal(paths[:, 0], tokens)
    law = string_law(drawing.tables[0])
    assert law.sum() == pytest.approx(1.0)


def test_the_finding_names_the_planted_mechanism():
    defect = DEFECTS["softmax_of_residual"]
    result = audit(defect.broken, batched=True, trials=100_000)
    assert "softmax_of_residual" in result.findings[0].mechanism
    assert "token 2 of 3" in result.findings[0].place or "token 1 of" in result.findings[0].place
