"""Defects of chains: how one drafted block is verified wrongly."""

from __future__ import annotations

from functools import partial

from ..forms.form import Form
from . import cases
from .broken import chains as chain
from .broken import coins, corrections, masks
from .correct.token_wise import TokenWise, block_of_chain, certain_draft_in_block, token_wise_in_block
from .kinds import Batched, Case, Defect

_RIGHT = TokenWise()


def _chain(
    number: int, name: str, seen_in: str, mechanism: str, broken: Batched, *own: Case, correct: Batched = _RIGHT,
    variants: tuple[Batched, ...] = (),
) -> Defect:  # fmt: skip
    return Defect(number, name, seen_in, mechanism, Form.CHAIN, broken, correct, own, variants)


CHAINS = (
    _chain(
        3, "softmax_of_residual", "huggingface/transformers PR #28508",
        "the correction is drawn from the softmax of the residual, which is a probability already",
        TokenWise(replacement=chain.from_softmaxed_residual),
    ),
    _chain(
        4, "correction_from_next_row", "huggingface/transformers PR #28166",
        "the correction is drawn from the residual of the position behind the rejected one",
        TokenWise(replacement=chain.from_next_residual),
        variants=(
            TokenWise(replacement=chain.from_next_target), TokenWise(replacement=chain.from_next_residual_if_drafted),
        ),
    ),
    _chain(
        7, "bonus_row_unprocessed", "SafeAILab/EAGLE commits bf10ac5 to c7ef8e5",
        "the bonus token is drawn from a row without the temperature that the other rows have",
        TokenWise(bonus=chain.from_raw_target),
    ),
    _chain(
        10, "token_wise_tests_in_block", "vllm-project/vllm-ascend issue #7807",
        "the longest passing position is kept, as in block verification, with token-wise tests and residual",
        token_wise_in_block, correct=block_of_chain,
    ),
    _chain(
        11, "draft_taken_for_certain_in_block", "vllm-project/vllm-ascend PR #7603",
        "block verification takes the draft's probability for 1 in its ratios, and not in its residuals",
        certain_draft_in_block, correct=block_of_chain,
    ),
    _chain(
        13, "uniform_always_zero", "vllm-project/vllm-ascend issue #13730",
        "the uniform is 0 always, so that every draft is accepted that the target can emit",
        TokenWise(passing=chain.above_zero),
    ),
    _chain(
        14, "uniform_compared_with_equality", "sgl-project/sglang issue #35771",
        "u <= ratio stands for u < ratio, so that u = 0 accepts a token of target probability 0",
        TokenWise(passing=chain.up_to_ratio), cases.GRID_OF_256THS,
    ),
    _chain(
        17, "residual_by_cancelling_logarithms", "vllm-project/vllm PR #46665",
        "log(1 - draft / target) cancels in a coarse float, and the residual's shares are those of the rounding",
        TokenWise(replacement=chain.from_logarithmic_residual), cases.CLOSE_IN_BFLOAT16,
    ),
    _chain(
        20, "small_draft_entries_lost", "lablup/mlxcel PR #992",
        "small draft probabilities underflow to 0, and 0 means that the draft is accepted",
        chain.small_entries_lost,
    ),
    _chain(
        22, "verified_greedily", "sgl-project/sglang PR #39253",
        "the target's temperature is ignored: its likeliest token is verified against and emitted",
        chain.greedily_verified,
    ),
    _chain(
        24, "equality_test_on_top_of_ratio", "alibaba/rtp-llm PR #1295",
        "a draft is accepted if a draw from the target equals it, or else by the ratio test",
        TokenWise(passing=chain.by_equality_or_ratio),
    ),
    _chain(
        26, "rejection_one_position_late", "openvinotoolkit/openvino.genai issue #4190",
        "the rejected token is dropped, and what was predicted to follow it stands in its place",
        TokenWise(replacement=chain.from_row_after_rejected),
    ),
    _chain(
        29, "padding_wins_recovery", "vllm-project/vllm PR #44744",
        "slots that pad the vocabulary win the recovery draw where all scores are 0",
        TokenWise(replacement=chain.from_padded_race), cases.EQUAL_IN_BFLOAT16,
        correct=TokenWise(replacement=chain.from_race),
    ),
    _chain(
        32, "draft_rows_of_another_request", "vllm-project/vllm PR #44869",
        "a request is verified with the draft's rows of another, the batch having been put into another order",
        chain.neighbours_rows, cases.TWO_REQUESTS,
    ),
    _chain(
        34, "placeholder_taken_for_draft", "vllm-project/vllm PR #46533",
        "the placeholder -1 behind a short draft is read as the vocabulary's last token, and may be accepted",
        chain.placeholders_as_last_token, cases.UNEQUAL_LENGTHS, correct=chain.stops_at_placeholders,
    ),
    _chain(
        37, "typical_acceptance", "vllm-project/vllm issue #5015",
        "drafts are accepted by a threshold on the target's probability, without a coin",
        TokenWise(passing=chain.above_typical),
    ),
    _chain(
        38, "small_residual_made_uniform", "jaymody/speculative-sampling issue #5",
        "a residual of small mass is replaced by the uniform law",
        TokenWise(replacement=chain.from_residual_or_uniform), cases.SMALL_RESIDUAL,
    ),
    _chain(
        41, "block_cut_by_value", "several engines",
        "the emitted block is cut before a token of a certain value, which is then drawn anew",
        chain.cut_before_zero,
    ),
    _chain(
        45, "correction_from_target_row", "ShopeeLLM/Spec-RL issue #14",
        "the correction is drawn from the target's row, not from what it has over the draft's",
        TokenWise(replacement=corrections.from_target_row),
    ),
    _chain(
        46, "draft_taken_off_at_drafted_token_alone", "xLLM-AI/xllm PR #2175",
        "the correction's row is the target's with the draft's probability taken off at the drafted token alone",
        TokenWise(replacement=corrections.from_row_less_drafted_entry),
        variants=(TokenWise(replacement=corrections.from_row_without_drafted),),
    ),
    _chain(
        47, "relaxed_by_uncertainty", "vllm-project/vllm-ascend PR #7845",
        "the uniform is lowered by a share of the target's uncertainty before the test",
        TokenWise(passing=corrections.relaxed_by_uncertainty),
        variants=(TokenWise(passing=partial(corrections.relaxed_by_uncertainty, tolerance=0.01)),),
    ),
    _chain(
        48, "padded_width_escapes", "vllm-project/vllm PR #54893",
        "the whole padded block is handed out, and placeholders behind the last token become token 0",
        corrections.padded_width_escapes,
    ),
    _chain(
        49, "min_p_on_bonus_row_only", "vllm-project/vllm issue #42744",
        "min-p is applied to the bonus token's row, not to the verified ones",
        TokenWise(bonus=corrections.from_min_p_target),
    ),
    _chain(
        54, "uniform_may_be_one", "sgl-project/sglang PR #25133",
        "a hash makes a uniform of 1, which rejects what is accepted surely, and nothing is left to draw from",
        TokenWise(passing=coins.below_ratio_up_to_one, replacement=coins.last_token_where_nothing_is_left),
        cases.EQUAL_ROWS,
    ),
    _chain(
        55, "tail_starved_by_coarse_uniforms", "vllm-project/vllm PR #51367",
        "tokens are drawn by uniforms coarser than the tail of the vocabulary, some of which never come",
        TokenWise(replacement=coins.from_residual_by_coarse_uniform, bonus=coins.from_target_by_coarse_uniform),
        cases.SMALL_TAIL,
    ),
    _chain(
        56, "generator_restored", "ggml-org/llama.cpp, drafts verified by probabilities with checkpoints",
        "the generator is restored behind a rejection, and the correction drawn by the uniform that rejected",
        coins.generator_restored,
    ),
    _chain(
        57, "products_of_ratios_and_uniforms", "vllm-project/vllm-ascend, version 0.23",
        "block verification holds products of ratios against products of uniforms, which are no uniforms",
        coins.products_in_block, correct=block_of_chain,
    ),
    _chain(
        58, "mask_off_behind_forbidden_draft", "vllm-project/vllm issue #44006, PR #44292, PR #44297",
        "behind a draft that the grammar forbids the mask is off, and forbidden tokens come out",
        TokenWise(replacement=masks.from_row_without_mask),
    ),
    _chain(
        59, "forbidden_draft_sampled_anew", "vllm-project/vllm, version 0.33, second model runner",
        "in place of a draft that the grammar forbids the target's row is drawn from, not the residual",
        TokenWise(replacement=masks.from_target_where_forbidden),
    ),
    _chain(
        61, "parameters_of_first_row", "vllm-project/vllm, the build for CPUs, _expand_kernel_impl",
        "sampling parameters are written for the first row of a block alone",
        masks.parameters_of_first_row,
    ),
)  # fmt: skip
"""Numbered as in the list of real defects."""
