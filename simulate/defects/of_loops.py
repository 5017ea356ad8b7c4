"""Defects of loops that draft for themselves: what the verifier is told is not what was drawn."""

from __future__ import annotations

from ..forms.form import Form
from . import cases
from .broken import blocks, coins, histories, masks
from .broken import engines as drafting
from .correct.engines import Drafting
from .kinds import Batched, Case, Defect


def _generate(
    number: int, name: str, seen_in: str, mechanism: str, pair: tuple[Batched, Batched], *own: Case,
    variants: tuple[Batched, ...] = (),
) -> Defect:  # fmt: skip
    return Defect(number, name, seen_in, mechanism, Form.GENERATE, *pair, own, variants)


LOOPS = (
    _generate(
        1, "draft_told_unfiltered", "huggingface/transformers issue #47932, PR #47961",
        "drafts are drawn from rows after top-k or top-p, and verified with the rows before",
        (drafting.draft_told_unfiltered, drafting.draft_told_filtered),
    ),
    _generate(
        2, "argmax_told_as_sampled", "huggingface/transformers PR #33534; jaymody/speculative-sampling issue #3",
        "the draft's likeliest token is verified as if it had been drawn from the draft's row",
        (drafting.argmax_told_as_sampled, drafting.argmax_told_as_certain),
    ),
    _generate(
        5, "drawn_in_coarser_float", "deepseek-ai/DeepSpec issue #31",
        "drafts are drawn from rows in bfloat16, and verified with rows in a finer float",
        (drafting.drawn_in_bfloat16, drafting.told_in_bfloat16), cases.BFLOAT16_MIDPOINTS,
    ),
    _generate(
        6, "draft_row_overwritten_by_noise", "vllm-project/vllm PR #16952",
        "the draft's rows are divided by the sampling noise in place, before the verifier reads them",
        (drafting.rows_overwritten_by_noise, drafting.rows_kept_from_noise),
    ),
    _generate(
        15, "noise_reused_for_recovery", "vllm-project/vllm PR #47386, PR #54282",
        "the noise that a draft was drawn with is used again to draw the token that replaces it",
        (drafting.noise_reused_for_recovery, drafting.rows_kept_from_noise), cases.NARROW_LOSERS,
    ),
    _generate(
        18, "processors_on_bonus_row_only", "vllm-project/vllm issue #19482; sgl-project/sglang issue #10617",
        "temperature and other logits processors are applied to the bonus token's row, not to the verified ones",
        (drafting.processors_on_bonus_only, drafting.processors_on_all_rows),
    ),
    _generate(
        19, "filters_in_two_orders", "sgl-project/sglang PR #36173; ztxz16/fastllm issue #738",
        "top-k comes before top-p where drafts are drawn, and behind it where they are verified",
        (drafting.filters_in_two_orders, drafting.filters_in_one_order), cases.FILTERED_ROW,
    ),
    _generate(
        21, "temperature_on_one_side", "the class of huggingface/transformers issue #47932",
        "drafts are drawn at one temperature, and verified with the draft's rows at another",
        (drafting.temperature_on_one_side, drafting.temperature_on_both_sides),
        variants=(drafting.drawn_colder_than_told,),
    ),
    _generate(
        50, "beam_told_as_sampled", "apple/ml-recurrent-drafter issue #6",
        "the best block of a beam search is verified as if it had been drawn from the draft's rows",
        (blocks.beam_told_as_sampled, blocks.beam_told_as_certain),
    ),
    _generate(
        51, "marginals_told_as_conditionals", "z-lab/dflash PR #169",
        "a block's tokens are drawn each by itself, and verified as if each had followed the one before",
        (blocks.marginals_told_as_conditionals, blocks.marginals_told),
    ),
    _generate(
        53, "one_seed_for_draft_and_test", "ggml-org/llama.cpp PR #27694",
        "drafting and verification draw from generators of one seed: a draft and its test have one uniform",
        (coins.one_seed_for_draft_and_test, Drafting()),
    ),
    _generate(
        60, "cap_beats_stop", "sgl-project/sglang issue #31599, PR #33758",
        "the length cap is looked at before the end of the text, and what was accepted behind the end leaks",
        (masks.cap_beats_stop, masks.stop_beats_cap), cases.ENDING_TEXTS,
    ),
    _generate(
        62, "positions_by_index", "lablup/mlxcel PR #1214",
        "a flattened tree's nodes stand at the position of their number, not of their depth",
        (masks.positions_by_index, masks.positions_by_depth), cases.BY_POSITION,
    ),
    _generate(
        63, "history_of_last_tokens", "sgl-project/sglang PR #33643",
        "what is kept between rounds, such as a penalty's counts, is fed the last token of each round alone",
        (histories.history_of_last_tokens, histories.histories_right), cases.PENALISED,
    ),
    _generate(
        64, "history_with_rejected_drafts", "osaurus-ai/vmlx-swift issue #357, PR #361",
        "what is kept between rounds, such as a penalty's counts, is fed rejected drafts too",
        (histories.history_with_rejected_drafts, histories.histories_right), cases.PENALISED,
    ),
)  # fmt: skip
"""Numbered as in the list of real defects."""
