"""Long runs neither slow down nor leak; running out of memory says which tree would fit; peaks are measured."""

from __future__ import annotations

import gc
import os
import re
import resource
import subprocess
import sys
from time import process_time

import pytest

from veridraft.theory.policies.paths import Chain, Iid

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import PROMPTS, tiny_pair

from veridraft.gpu.decoding import memory
from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.drafting.n_gram import NGram
from veridraft.gpu.decoding.memory import PeakMemory, bytes_per_node, is_out_of_memory
from veridraft.gpu.decoding.passes.cache import BatchModel
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.trees.sampling import Sampling


def live_tensors():
    gc.collect()
    found = [one for one in gc.get_objects() if type(one) is torch.Tensor]
    return len(found), sum(one.numel() for one in found)


@pytest.mark.parametrize(
    ("policy", "tokens", "sampling"), [(NGram(15), 2000, Sampling(temperature=0)), (Chain(7), 800, None)]
)
def test_long_texts_neither_leak_nor_slow_down_beyond_attention(policy, tokens, sampling):
    """Nearly all that is proposed is accepted: a greedy text that repeats itself, a draft that is the target.

    What attention finds is thrown away in this network, so that a greedy text is a cycle of tokens.
    A step late in the text may take no longer than an early one, but for attention over a context that grows from
    nothing to 2000 slots; the bound of 3 is far from what keeping rows or trees of every step would do.
    """
    pair = tiny_pair(skipped=(), layers=1, positions=8192)
    pair.target.model.layers[0].self_attn.o_proj.weight.data.zero_()
    decoder = BatchDecoder(pair, "nss" if sampling else "block", policy, sampling)
    times, tensors, written = [process_time()], [], 0
    for block in decoder.stream([Request(PROMPTS[0], tokens)]):
        written += len(block.tokens)
        times.append(process_time())
        if len(times) in (40, 90):
            tensors.append(live_tensors())
            times[-1] = process_time()
    assert written == tokens and len(times) > 95
    assert tensors[0][0] == tensors[1][0], "as many tensors late as early"
    assert tensors[1][1] - tensors[0][1] < 10_000, "nor larger ones"
    spans = [sorted(times[n + 1] - times[n] for n in range(first, first + 20)) for first in (15, 65)]
    early, late = (span[len(span) // 2] for span in spans)
    assert late < 3 * early, (early, late)


def test_the_cache_holds_what_the_texts_need_and_no_more():
    pair = tiny_pair()
    decoder = BatchDecoder(pair, "traversal", Iid(3, 2), rows=2)
    decoder.decode([Request(PROMPTS[0], 10), Request(PROMPTS[1], 30), Request(PROMPTS[2], 5)])
    slots = 3 + 30 + 2 + 7 + 1  # prompt, text, depth, columns of the skeleton, the forgotten slot
    keys = 2 * 2 * 2 * slots * 8 * 4  # layers, rows, heads, slots, width, bytes of a number
    assert decoder.target.cache_bytes() == 2 * keys


def test_running_out_of_memory_says_which_tree_would_fit(monkeypatch):
    pair = tiny_pair()
    decoder = BatchDecoder(pair, "traversal", Iid(3, 2))
    monkeypatch.setattr(memory, "available_bytes", lambda device: 5 * 2 * bytes_per_node(pair) + 1)

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 7 GiB")

    monkeypatch.setattr(BatchModel, "feed", full)
    wanted = r"2 requests and trees of 7 nodes: a tree of 5 nodes would fit beside them \(CUDA out of memory"
    with pytest.raises(MemoryError, match=wanted):
        decoder.decode([Request(PROMPTS[0], 10), Request(PROMPTS[1], 10)])


def test_other_errors_are_left_as_they_are(monkeypatch):
    def broken(*_):
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(BatchModel, "feed", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        BatchDecoder(tiny_pair(), "traversal", Iid(3, 2)).decode([Request(PROMPTS[0], 10)])
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(ValueError("memorable"))


def test_the_peak_of_a_block_is_seen():
    with PeakMemory(torch.device("cpu")) as small:
        pass
    with PeakMemory(torch.device("cpu")) as large:
        torch.ones(32 * 2**20)  # 128 MiB
    assert large.bytes - small.bytes > 100 * 2**20
    assert large.bytes < resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + 2**20


def test_without_limits_of_a_process_what_the_system_has_is_what_is_free(monkeypatch):
    """Windows has neither the module ``resource`` nor ``os.sysconf`` nor /proc."""
    monkeypatch.setitem(sys.modules, "resource", None)
    assert 0 < memory.available_bytes(torch.device("cpu")) < sys.maxsize
    monkeypatch.delattr("os.sysconf")
    monkeypatch.setattr("pathlib.Path.exists", lambda self: False)
    assert memory.available_bytes(torch.device("cpu")) == sys.maxsize


def test_a_tree_that_does_not_fit_under_a_real_limit_is_refused_with_advice():
    """In a process of its own, whose address space is limited to a little more than it has.

    Each new thread may reserve 64 MiB of it for what it allocates, whenever it first does: here all share one arena.
    How much the run has taken when an allocation fails still differs: what is left is bounded, not foretold.
    """
    code = """
import resource, sys
sys.path.insert(0, "tests")
from gpu_tiny import PROMPTS, tiny_pair
from veridraft.gpu import BatchDecoder, Request
from veridraft.theory import parse_policy
pair = tiny_pair(vocabulary_size=50000, layers=1, skipped=())
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
try:
    BatchDecoder(pair, "nss", parse_policy("Iid(64, 3)")).decode([Request(PROMPTS[0], 10)])
except MemoryError as error:
    print(error)
"""
    alone = os.environ | {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=alone)
    fits = int(re.search(r"trees of 193 nodes: a tree of (\d+) nodes would fit", done.stdout)[1])
    assert 5 < fits <= 2**28 // (memory.ROWS_PER_NODE * 8 * 50_000), "2^28 bytes less what the run took"
