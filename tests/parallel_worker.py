"""What the test of split targets runs: in one process, and under torchrun on every rank.

``python parallel_worker.py TARGET DRAFT OUT`` writes OUT-RANK.pt with the texts and this rank's share of the caches.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from gpu_tiny import PROMPTS

from veridraft.gpu import BatchDecoder, Request
from veridraft.gpu.decoding.passes.packing import packed_pair
from veridraft.gpu.decoding.single import Decoder, decode
from veridraft.gpu.models.split.pairs import load_split_pair
from veridraft.gpu.models.split.ranks import on_all_ranks
from veridraft.gpu.trees.sampling import Sampling
from veridraft.theory.policies.base import Chain, Iid
from veridraft.theory.policies.dyspec import DySpec

ALIVE = []


def text(pair):
    """The tokens of one seeded text."""
    return decode(pair, PROMPTS[0], "traversal", Iid(3, 2), Sampling(0.9), 12, np.random.default_rng(1)).tokens


def texts(pair):
    """Tokens of several ways to decode, all seeded."""
    live = decode(pair, PROMPTS[1], "nss", DySpec(4), None, 8, np.random.default_rng(2))
    requests = [Request(prompt, 6 + 3 * number, number) for number, prompt in enumerate(PROMPTS)]
    batch = BatchDecoder(pair, "specinfer", Iid(2, 3), rows=2).decode(requests)
    cold = decode(pair, PROMPTS[2], "block", Chain(3), Sampling(0.0), 8)
    return [text(pair), live.tokens, *(one.tokens for one in batch), cold.tokens]


def unfinished(pair):
    """A request after some steps: its tokens, and the target's cache, which stays alive."""
    decoder = Decoder(pair, "specinfer", Iid(2, 2), None, np.random.default_rng(5))
    request = decoder.start(PROMPTS[0], 40)
    for _ in range(3):
        decoder.step(request)
    ALIVE.append(request)
    return request.prompt, tuple(request.text)


def share(cache):
    """(layers, 2, 1, heads, length, width) the keys and values that a cache holds here."""
    pairs = [(layer.keys, layer.values) for layer in cache.layers]
    length = cache.layers[0].get_seq_length()
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
    found["cache"] = share(last[-1] if rank else ALIVE[-1].target.cache)
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
