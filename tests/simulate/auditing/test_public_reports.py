"""Chain verifiers as public bug reports describe them: the verdict, where, the mechanism or none, what is noted."""

import numpy as np
import pytest
from exact_chains import chain, first_token_off, masked, positive

from veridraft.simulate import ADAPTERS, Case, Trait, Verdict, audit
from veridraft.simulate.defects.broken.corrections import relaxed_by_uncertainty
from veridraft.simulate.defects.correct.token_wise import TokenWise
from veridraft.theory import Chain
from veridraft.theory.pairs import iid_pair

CASES = [
    Case("apart", iid_pair([0.5, 0.3, 0.2], [0.2, 0.25, 0.55]), Chain(2), "rows that differ"),
    Case("nearer", iid_pair([0.1, 0.2, 0.3, 0.4], [0.3, 0.25, 0.25, 0.2]), Chain(2), "rows that differ less"),
]


def drafted_entry_alone(p, q, x, rows):
    """The target's row with the draft's probability taken off at the drafted token alone."""
    row = p.copy()
    row[x] = max(p[x] - q[x], 0.0)
    return row


def relaxed(tolerance):
    """The uniform lowered by a share of the target's uncertainty."""
    return chain(passes=lambda p, q, x, u: u - tolerance * (1.0 - p.max()) < p[x] / q[x])


BROKEN = {
    "drafted entry alone": (chain(drafted_entry_alone), {"draft_taken_off_at_drafted_token_alone"}),
    "without the drafted token": (
        chain(lambda p, q, x, rows: masked(p, x)), {"draft_taken_off_at_drafted_token_alone"}
    ),
    "target's row": (chain(lambda p, q, x, rows: p), {"correction_from_target_row"}),
    "relaxed": (relaxed(0.1), {"relaxed_by_uncertainty"}),
    "no known one: the residual's square": (chain(lambda p, q, x, rows: positive(p, q) ** 2), set()),
    "no known one: the draft's row": (chain(lambda p, q, x, rows: q), set()),
    "no known one: uniform": (chain(lambda p, q, x, rows: np.ones_like(p)), set()),
    "no known one: ratios the wrong way up": (chain(passes=lambda p, q, x, u: u < q[x] / p[x]), set()),
    "no known one: a lenient test": (chain(passes=lambda p, q, x, u: u < 1.2 * p[x] / q[x]), set()),
    "no known one: the bonus from the draft": (chain(bonus=lambda target, draft: draft[-1]), set()),
}  # fmt: skip


def named(finding):
    """The names of the mechanisms that a finding gives."""
    parts = finding.mechanism.split("(")[1:]
    return {part.split(";")[0] for part in parts if ";" in part}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_chain_is_lossy_where_its_exact_law_departs_and_no_other_mechanism_is_named(name):
    verifier, right = BROKEN[name]
    result = audit(verifier, cases=CASES, trials=60_000)
    finding = result.findings[0]
    case = next(case for case in CASES if case.name == finding.case)
    assert result.verdict is Verdict.LOSSY
    assert finding.departs == first_token_off(verifier, case)
    assert f"departs at token {finding.departs} of 3" in finding.place
    assert not named(finding) or named(finding) & right
    if right and name != "relaxed":  # which departs by so little that these trials do not suffice to name it
        assert named(finding)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_commonest_mistake_is_named_on_the_default_cases(seed):
    result = audit(BROKEN["target's row"][0], seed=seed)
    assert "correction_from_target_row" in named(result.findings[0])


def test_a_correct_chain_passes():
    assert audit(chain(), cases=CASES, trials=20_000).verdict is Verdict.NO_DEFECT_FOUND


def test_a_small_relaxation_is_found_batched():
    def faint(chains, rng):
        return relaxed_by_uncertainty(chains, rng, tolerance=0.01)

    result = audit(TokenWise(passing=faint), batched=True)
    assert result.verdict is Verdict.LOSSY
    assert named(result.findings[0]) <= {"relaxed_by_uncertainty"}
    passed = audit(TokenWise(passing=lambda chains, rng: relaxed_by_uncertainty(chains, rng, tolerance=0.0)),
                   batched=True, trials=60_000)  # fmt: skip
    assert passed.verdict is Verdict.NO_DEFECT_FOUND


def flat_arguments(drafted_alone):
    """The residual of a port that takes vLLM's flat lists, one request behind the other."""
    import torch

    def port(draft_token_ids, num_draft_tokens, max_spec_len, cu_num_draft_tokens, draft_probs, target_probs,
             bonus_token_ids, sampling_metadata):  # fmt: skip
        out = torch.full((len(num_draft_tokens), max_spec_len + 1), -1, dtype=torch.int64)
        drafted, at = draft_token_ids.tolist(), 0
        own = (torch.arange(len(drafted)), draft_token_ids.long())
        passed = (torch.rand(len(drafted)) * draft_probs[own] < target_probs[own]).tolist()
        for request, count in enumerate(num_draft_tokens):
            for place in range(count):
                x = drafted[at + place]
                if passed[at + place]:
                    out[request, place] = x
                    continue
                p, q = target_probs[at + place], draft_probs[at + place]
                rest = p.clone() if drafted_alone else torch.clamp(p - q, min=0.0)
                rest[x] = max(float(p[x] - q[x]), 0.0)
                out[request, place] = int(torch.multinomial(rest, 1))
                break
            else:
                out[request, count] = bonus_token_ids[request, 0]
            at += count
        return out

    return port


@pytest.mark.parametrize("drafted_alone", [True, False])
def test_a_port_behind_the_adapter_of_vllm_is_judged_like_the_chain_that_it_is(drafted_alone):
    pytest.importorskip("torch")
    adapted = ADAPTERS["vllm-v1"].wrap(flat_arguments(drafted_alone))
    result = audit(adapted, form="chain", batched=True, trials=40_000 if drafted_alone else 3_000)
    assert result.verdict is (Verdict.LOSSY if drafted_alone else Verdict.NO_DEFECT_FOUND)
    if drafted_alone:
        assert "draft_taken_off_at_drafted_token_alone" in named(result.findings[0])
        assert result.findings[0].departs == 1


def padded(fill, behind=True):
    """A block handed out at its whole width."""

    def verify(target, draft, tokens, rng):
        out = chain()(target, draft, tokens, rng)
        width = [fill] * (len(tokens) + 1 - len(out))
        return out + width if behind else width + out

    return verify


def test_padding_that_is_a_token_is_named_padding_of_the_target_is_lossy_and_minus_one_is_right():
    zeros = audit(padded(0), trials=60_000)
    assert zeros.verdict is Verdict.LOSSY and "padded with 0" in zeros.findings[0].mechanism
    assert "padded_width_escapes" in named(zeros.findings[0])
    last = audit(padded(1), cases=CASES, trials=60_000)  # another token: lossy, and not padding with 0
    assert last.verdict is Verdict.LOSSY and last.findings[0].mechanism == ""
    assert audit(padded(-1), trials=3_000).verdict is Verdict.NO_DEFECT_FOUND


def test_padding_in_front_is_an_error_that_shows_the_answer():
    result = audit(padded(-1, behind=False), trials=3_000)
    assert result.verdict is Verdict.ERROR and result.exit_status == 2
    assert "-1 stands before a token, and padding belongs behind them" in result.failure.detail


def race_that_nan_never_wins(weights, rng):
    """The running best stays where it began: one past the last token."""
    best, token = -np.inf, len(weights)
    for place, score in enumerate(weights / rng.exponential(size=len(weights))):
        if score > best:
            best, token = score, place
    return token


def by_race(target, draft, tokens, rng):
    for place, token in enumerate(tokens):
        if rng.random() * draft[place, token] >= target[place, token]:
            return [*tokens[:place], race_that_nan_never_wins(positive(target[place], draft[place]), rng)]
    return [*tokens, race_that_nan_never_wins(target[-1], rng)]


def raises_on_faults(target, draft, tokens, rng):
    if not np.isfinite(target).all() or not np.isfinite(draft).all():
        raise FloatingPointError("a row is not finite")
    return chain()(target, draft, tokens, rng)


def test_what_comes_out_for_faulty_rows_is_said_for_each_fault():
    result = audit(by_race, trials=1_000, faulty_rows=True)
    said = {seen.detail.split(":")[0]: seen.detail for seen in result.observations if seen.trait is Trait.FAULTY_ROWS}
    assert result.verdict is Verdict.NO_DEFECT_FOUND  # the rows of the trials that are judged are laws
    assert "5 being outside the vocabulary" in said["target rows nan"]
    assert {"target rows zeros", "target rows with one nan", "draft rows nan"} <= set(said)
    careful = audit(raises_on_faults, trials=1_000, faulty_rows=True)
    said = [seen.detail for seen in careful.observations if seen.trait is Trait.FAULTY_ROWS]
    assert sum("it raised an exception, FloatingPointError: a row is not finite" in one for one in said) >= 3
    assert careful.verdict is Verdict.NO_DEFECT_FOUND


def unseeded(target, draft, tokens, rng):
    return TokenWise()(target, draft, tokens, np.random.default_rng())


def always_one_seed(target, draft, tokens, rng):
    return TokenWise()(target, draft, tokens, np.random.default_rng(0))


def global_numpy(target, draft, tokens, rng):
    return TokenWise()(target, draft, tokens, np.random)


def a_stream_for_each(target, draft, tokens, rng):
    """Every request draws from a generator keyed by its own tokens, as seeds of requests would."""
    keys = rng.integers(2**31)
    return [chain()(*rows, np.random.default_rng([keys, *rows[0][0].view(np.int64).tolist(), *rows[2].tolist()]))
            for rows in zip(target, draft, tokens, strict=True)]  # fmt: skip


@pytest.mark.parametrize(
    ("verifier", "trait"),
    [
        (unseeded, Trait.NOT_A_FUNCTION), (always_one_seed, Trait.DETERMINISTIC),
        (global_numpy, Trait.GLOBAL_RANDOMNESS), (TokenWise(), Trait.SHARED_STREAM), (a_stream_for_each, None),
    ],
)  # fmt: skip
def test_what_becomes_of_seeds_is_noted(verifier, trait):
    seen = {one.trait for one in audit(verifier, batched=True, trials=3_000).observations}
    about_seeds = {Trait.NOT_A_FUNCTION, Trait.DETERMINISTIC, Trait.GLOBAL_RANDOMNESS, Trait.SHARED_STREAM}
    assert seen & about_seeds == ({trait} if trait else set())
