"""Verifiers in the shapes of engines, right and wrong, written for the tests of the adapters."""

import random
from itertools import pairwise

import torch


def vllm_rejection_sample(
    draft_token_ids, num_draft_tokens, max_spec_len, cu_num_draft_tokens, draft_probs, target_probs, bonus_token_ids,
    sampling_metadata, wrong_row=False,
):  # fmt: skip
    """Each request's drafts one after the other; ``wrong_row`` reads the rows of the request before."""
    assert sampling_metadata.all_random and draft_token_ids.dtype == torch.int32
    output = torch.full((len(num_draft_tokens), max_spec_len + 1), -1, dtype=torch.int32)
    starts = [end - length for end, length in zip(cu_num_draft_tokens.tolist(), num_draft_tokens, strict=True)]
    for request, (start, length) in enumerate(zip(starts, num_draft_tokens, strict=True)):
        for position in range(length):
            place = start + position
            token, target = int(draft_token_ids[place]), target_probs[place]
            if draft_probs is None:
                draft = torch.nn.functional.one_hot(torch.tensor(token), len(target)).float()
            else:
                draft = draft_probs[place - wrong_row * (start > 0)]
            if torch.rand(()) * draft[token] < target[token]:
                output[request, position] = token
                continue
            residual = (target - draft).clamp_min(0)
            output[request, position] = int(torch.multinomial(residual if residual.sum() > 0 else target, 1))
            break
        else:
            output[request, length] = bonus_token_ids[request, 0]
    return output


def sglang_sampling(
    predicts, accept_index, accept_token_num, candidates, retrieve_index, retrieve_next_token, retrieve_next_sibling,
    uniform_samples, uniform_samples_for_final_sampling, target_probs, draft_probs, threshold_single, threshold_acc,
    deterministic, keeps_tried=False,
):  # fmt: skip
    """One coin for all children of a node, against the sum of their probabilities; ``keeps_tried`` is wrong."""
    node, rows, depth = 0, target_probs[0], 0
    accept_index[0, 0] = retrieve_index[0, 0]
    while True:
        coin, passed, child = uniform_samples[0, node], 0.0, int(retrieve_next_token[0, node])
        while child != -1:
            token = int(candidates[0, child])
            passed += float(rows[node, token])
            if coin < passed / threshold_acc:
                break
            draft_probs[0, node, token] = 0.0 if keeps_tried else rows[node, token]
            child = int(retrieve_next_sibling[0, child])
        if child == -1:
            break
        predicts[retrieve_index[0, node]] = candidates[0, child]
        node, depth = child, depth + 1
        accept_index[0, depth] = retrieve_index[0, node]
    accept_token_num[0] = depth
    left = (rows[node] - draft_probs[0, node]).clamp_min(0).cumsum(0)
    place = torch.searchsorted(left, uniform_samples_for_final_sampling[0] * left[-1], right=True)
    predicts[retrieve_index[0, node]] = place.clamp_max(len(left) - 1)


def sglang_greedy(
    predicts, accept_index, accept_token_num, candidates, retrieve_index, retrieve_next_token, retrieve_next_sibling,
    target_predict, bonus_of_root=False,
):  # fmt: skip
    """Follow the child that the target's token names; ``bonus_of_root`` ends with the root's token, which is wrong."""
    node, depth = 0, 0
    while True:
        accept_index[0, depth] = retrieve_index[0, node]
        predicts[retrieve_index[0, node]] = target_predict[0, node]
        child = int(retrieve_next_token[0, node])
        while child != -1 and candidates[0, child] != target_predict[0, node]:
            child = int(retrieve_next_sibling[0, child])
        if child == -1:
            break
        node, depth = child, depth + 1
    accept_token_num[0] = depth
    if bonus_of_root:
        predicts[retrieve_index[0, node]] = target_predict[0, 0]


def eagle_posterior(logits, candidates, logits_processor, keeps_tried=False):
    """Every distinct child once, accepted with the target's probability; ``keeps_tried`` is wrong."""
    best, length = 0, 0
    while length + 1 < candidates.shape[1]:
        alive = (candidates[:, : length + 1] == candidates[best, : length + 1]).all(dim=1).nonzero()[:, 0].tolist()
        weights = logits_processor(None, logits[best, length][None])[0].softmax(-1)
        chosen, tried = None, set()
        for row in alive:
            token = int(candidates[row, length + 1])
            if token == -1 or token in tried:
                continue
            tried.add(token)
            if random.random() < weights[token]:
                chosen = row
                break
            weights[token] *= keeps_tried
            weights = weights / weights.sum()
        if chosen is None:
            return torch.tensor(best), length, weights
        best, length = chosen, length + 1
    weights = logits_processor(None, logits[best, length][None])[0].softmax(-1)
    return torch.tensor(best), length, weights


def _one_chain(target, draft, tokens, from_target=False):
    """Token-wise verification of one request: what is accepted, and one token more; ``from_target`` is wrong."""
    emitted = []
    for place, token in enumerate(tokens):
        if torch.rand(()) * draft[place, token] < target[place, token]:
            emitted.append(int(token))
            continue
        residual = target[place] if from_target else (target[place] - draft[place]).clamp_min(0)
        return [*emitted, int(torch.multinomial(residual, 1))]
    return [*emitted, int(torch.multinomial(target[len(tokens)], 1))]


def _rows_of(chains, width):
    """Lists of tokens as rows padded with -1, and their lengths."""
    rows = torch.full((len(chains), width), -1, dtype=torch.int32)
    for row, chain in zip(rows, chains, strict=True):
        row[: len(chain)] = torch.tensor(chain)
    return rows, torch.tensor([len(chain) for chain in chains])


def vllm_v2_rejection_sample(
    target_logits, draft_logits, draft_sampled, cu_num_logits, pos, idx_mapping, expanded_idx_mapping,
    expanded_local_pos, temperature, seed, num_speculative_steps, from_target=False,
):  # fmt: skip
    """Drawn by each request's seed and first position; what stands behind a row's count is junk."""
    emitted, ends = [], cu_num_logits.tolist()
    assert pos.dtype == seed.dtype == torch.int64 and (temperature == 1).all()
    for request, (start, end) in enumerate(pairwise(ends)):
        held = slice(start, end)
        assert expanded_local_pos[held].tolist() == list(range(end - start))
        assert (expanded_idx_mapping[held] == request).all() and idx_mapping[request] == request
        torch.default_generator.manual_seed((int(seed[request]) + int(pos[start])) % 2**63)
        target, tokens = target_logits[held].exp(), draft_sampled[held][1:].long()
        if draft_logits is None:
            draft = torch.nn.functional.one_hot(tokens, target.shape[-1]).float()
        else:
            draft = draft_logits[request].exp()
        emitted.append(_one_chain(target, draft, tokens, from_target))
    rows, counts = _rows_of(emitted, num_speculative_steps + 1)
    return torch.where(rows < 0, 7, rows), counts


def sglang_chain_sampling(
    predicts, accept_index, accept_token_num, candidates, retrive_index, retrive_next_token, retrive_next_sibling,
    uniform_samples, uniform_samples_for_final_sampling, target_probs, draft_probs, threshold_single, threshold_acc,
    deterministic, block_verification=False, from_target=False,
):  # fmt: skip
    """Coins for the drafts and one for the last token, against its cumulative sums."""
    assert not block_verification and (retrive_next_sibling == -1).all() and retrive_next_token[0, -1] == -1
    for request, chain in enumerate(candidates):
        target, draft, accepted = target_probs[request], draft_probs[request], 0
        accept_index[request, 0] = retrive_index[request, 0]
        while accepted < len(draft):
            token = int(chain[accepted + 1])
            if uniform_samples[request, accepted] * draft[accepted, token] >= target[accepted, token]:
                break
            predicts[retrive_index[request, accepted]] = token
            accepted += 1
            accept_index[request, accepted] = retrive_index[request, accepted]
        weights = target[accepted]
        if accepted < len(draft) and not from_target:
            weights = (weights - draft[accepted]).clamp_min(0)
        sums = weights.cumsum(0)
        last = int((sums <= uniform_samples_for_final_sampling[request] * sums[-1]).sum())
        predicts[retrive_index[request, accepted]] = last
        accept_token_num[request] = accepted


def lmdeploy_forward(
    target_logits, draft_token_ids, bonus_token_ids, *, is_greedy, draft_probs=None, from_target=False
):  # fmt: skip
    """The bonus token is the caller's."""
    target = target_logits.softmax(-1)
    one_hot = torch.nn.functional.one_hot(draft_token_ids, target.shape[-1]).float()
    draft, length = one_hot if draft_probs is None else draft_probs, draft_token_ids.shape[1]
    emitted = []
    for request, bonus in enumerate(bonus_token_ids):
        sure = torch.nn.functional.one_hot(bonus, target.shape[-1])[None]
        rows = torch.cat([target[request], sure])
        emitted.append(_one_chain(rows, draft[request], draft_token_ids[request], from_target))
    rows, counts = _rows_of(emitted, length + 1)
    return rows, length + 1 - counts, rows.gather(1, counts[:, None] - 1)


def flashinfer_chain(draft_probs, draft_token_ids, target_probs, deterministic=True, from_target=False):
    """Tokens, and two counts."""
    chains = [_one_chain(*rows, from_target) for rows in zip(target_probs, draft_probs, draft_token_ids, strict=True)]
    rows, counts = _rows_of(chains, target_probs.shape[1])
    return rows, counts - 1, counts - 1


def trtllm_one_model(
    draft_probs, draft_token_ids, target_probs, deterministic=True, seed=None, offset=None, from_target=False
):  # fmt: skip
    """Tokens, and how many of them are emitted; what stands behind those is junk."""
    assert seed is not None and offset is not None
    torch.default_generator.manual_seed(seed)
    rows, _, counts = flashinfer_chain(draft_probs, draft_token_ids, target_probs, deterministic, from_target)
    return torch.where(rows < 0, 7, rows), counts + 1
