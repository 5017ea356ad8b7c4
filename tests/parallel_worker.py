"""What the test of split targets runs: in one process, and under torchrun on every rank.

``python parallel_worker.py TARGET DRAFT OUT`` writes OUT-RANK.pt with the texts and this rank's share of the caches.
"""

from __future__ import annotations

import sys
from unittest.mock import patch

import torch
from gpu_tiny import PROMPTS

from veridraft.gpu import BatchDecoder, Request
from veridraft.gpu.decoding import batch
from veridraft.gpu.decoding.passes.packing import packed_pair
from veridraft.gpu.models.split.pairs import load_split_pair
from veridraft.gpu.models.split.ranks import on_all_ranks
from veridraft.gpu.trees.sampling import Sampling
from veridraft.theory.policies.best_first import TopK
from veridraft.theory.policies.dyspec import DySpec
from veridraft.theory.policies.paths import Chain, Iid

ALIVE = []


def one(pair, prompt, verifier, policy, sampling, tokens, seed=0):
    """The tokens of one text."""
    return BatchDecoder(pair, verifier, policy, sampling, rows=1).decode([Request(prompt, tokens, seed)])[0].tokens


def text(pair):
    """The tokens of one seeded text."""
    return one(pair, PROMPTS[0], "traversal", Iid(3, 2), Sampling(0.9), 7, 1)


def texts(pair):
    """Tokens of several ways to decode, all seeded."""
    live = one(pair, PROMPTS[1], "nss", DySpec(4), None, 5, 2)
    with patch.object(batch, "MOST_LIVE_NODES", 0):  # the caches grow when they are in use
        grown = one(pair, PROMPTS[1], "nss", TopK(6, 5, 12), None, 8)
    requests = [Request(prompt, 3 + 2 * number, number) for number, prompt in enumerate(PROMPTS)]
    several = BatchDecoder(pair, "specinfer", Iid(2, 3), rows=2).decode(requests)
    cold = one(pair, PROMPTS[2], "block", Chain(3), Sampling(0.0), 5)
    return [text(pair), live, grown, *(written.tokens for written in several), cold]


def unfinished(pair):
    """A request after some steps: its tokens, and the target's cache, which stays alive."""
    decoder = BatchDecoder(pair, "specinfer", Iid(2, 2), rows=1)
    blocks = decoder.stream([Request(PROMPTS[0], 40, 5)])
    written = [next(blocks) for _ in range(3)]
    ALIVE.append((blocks, decoder.target))
    return PROMPTS[0], tuple(token for block in written for token in block.tokens), decoder.target.contexts[0]


def share(cache, length):
    """(layers, 2, 1, heads, length, width) the keys and values that a cache holds here of a context."""
    pairs = [(layer.keys, layer.values) for layer in cache.layers]
    return torch.stack([torch.stack([buffer[..., :length, :] for buffer in pair]) for pair in pairs])


def fail(pair):
    pair.target(input_ids=torch.tensor([[1, 2]]), use_cache=False)
    raise ValueError("on purpose")


def main(target, draft, out):
    found = {}
    for name, work in ((draft, texts), ("skip:1", text)):
        pair = load_split_pair(target, name, tensor_parallel=True)
        found[name] = on_all_ranks(pair, work)
    caches = []
    found["request"] = on_all_ranks(pair, unfinished, lambda follower: caches.extend(follower.caches.values()))
    rank = torch.distributed.get_rank()
    last = [cache for cache in caches if len(cache.layers) == pair.target.config.num_hidden_layers]
    found["cache"] = share(last[-1] if rank else ALIVE[-1][1].cache, found["request"][2])
    for work, key in ((fail, "error"), (lambda pair: pair.target.generate(), "generate")):
        try:
            on_all_ranks(pair, work)
        except (ValueError, NotImplementedError, ChildProcessError) as error:
            found[key] = f"{type(error).__name__}: {error}"
    try:
        packed_pair(pair)
    except ValueError as error:
        found["packed"] = str(error)
    torch.save(found, f"{out}-{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
