"""Verifiers in the shapes of engines, right and wrong, written for the tests of the adapters."""

import random

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
            draft = torch.nn.functional.one_hot(torch.tensor(token), len(target)).float()
            if draft_probs is not None:
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
