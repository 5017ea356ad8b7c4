"""Files in the shapes that engines document, written by hand from their documentation, and simulated runs.

The vLLM response is the example of its page "Per-Request Acceptance Metrics"; the Prometheus texts follow
vllm/v1/spec_decode/metrics.py with the lines that prometheus_client adds, and the printing code of llama.cpp's server.
No engine was run.
"""

from __future__ import annotations

import json

import numpy as np

from veridraft.gpu.engines.trace_writer import TraceWriter
from veridraft.simulate.procedures.table import PROCEDURES
from veridraft.theory import MarkovPair

OBJECT = {
    "mean_acceptance_length": 1.2325581395348837,
    "draft_acceptance_rate": 0.07751937984496124,
    "acceptance_histogram": [39, 1, 0, 3],
    "num_spec_steps": 43,
    "num_accepted_draft_tokens": 10,
    "num_draft_tokens": 129,
    "num_spec_tokens": 3,
}
DETAILED = {
    "acceptance_histogram": [2, 1, 0, 1],
    "num_spec_steps": 4,
    "num_accepted_draft_tokens": 4,
    "num_draft_tokens": 10,
    "num_spec_tokens": 3,
    "per_step_accepted": [0, 3, 1, 0],
    "per_step_drafted": [3, 3, 2, 2],
}

VLLM_TEXT = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="org/m"} 0.0
# HELP vllm:spec_decode_num_drafts_total Number of spec decoding drafts.
# TYPE vllm:spec_decode_num_drafts_total counter
vllm:spec_decode_num_drafts_total{engine="0",model_name="org/m"} 1000.0
vllm:spec_decode_num_drafts_total{engine="1",model_name="org/m"} 10.0
# HELP vllm:spec_decode_num_drafts_created Number of spec decoding drafts.
# TYPE vllm:spec_decode_num_drafts_created gauge
vllm:spec_decode_num_drafts_created{engine="0",model_name="org/m"} 1.77692439403224e+09
# HELP vllm:spec_decode_num_draft_tokens_total Number of draft tokens.
# TYPE vllm:spec_decode_num_draft_tokens_total counter
vllm:spec_decode_num_draft_tokens_total{engine="0",model_name="org/m"} 3000.0
vllm:spec_decode_num_draft_tokens_total{engine="1",model_name="org/m"} 30.0
# HELP vllm:spec_decode_num_accepted_tokens_total Number of accepted tokens.
# TYPE vllm:spec_decode_num_accepted_tokens_total counter
vllm:spec_decode_num_accepted_tokens_total{engine="0",model_name="org/m"} 1500.0
vllm:spec_decode_num_accepted_tokens_total{engine="1",model_name="org/m"} 15.0
# HELP vllm:spec_decode_num_accepted_tokens_per_pos_total Accepted tokens per draft position.
# TYPE vllm:spec_decode_num_accepted_tokens_per_pos_total counter
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="org/m",position="0"} 800.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="org/m",position="1"} 450.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="org/m",position="2"} 250.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="1",model_name="org/m",position="0"} 8.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="1",model_name="org/m",position="1"} 5.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="1",model_name="org/m",position="2"} 2.0
"""

LLAMA_TEXT = """\
# HELP llamacpp:spec_decode_num_draft_tokens_total Speculative: Total draft tokens generated
# TYPE llamacpp:spec_decode_num_draft_tokens_total counter
llamacpp:spec_decode_num_draft_tokens_total 2950
# HELP llamacpp:spec_decode_num_accepted_tokens_total Speculative: Total draft tokens accepted by the target model
# TYPE llamacpp:spec_decode_num_accepted_tokens_total counter
llamacpp:spec_decode_num_accepted_tokens_total 1500
# HELP llamacpp:spec_decode_num_drafts_total Speculative: Total speculative decoding verification steps
# TYPE llamacpp:spec_decode_num_drafts_total counter
llamacpp:spec_decode_num_drafts_total 1000
# HELP llamacpp:requests_processing Number of requests processing
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 0
# HELP llamacpp:spec_decode_num_accepted_tokens_per_pos_total Accepted tokens per draft position
# TYPE llamacpp:spec_decode_num_accepted_tokens_per_pos_total counter
llamacpp:spec_decode_num_accepted_tokens_per_pos_total{position="0"} 800
llamacpp:spec_decode_num_accepted_tokens_per_pos_total{position="1"} 450
llamacpp:spec_decode_num_accepted_tokens_per_pos_total{position="2"} 250
"""


def response(found) -> dict:
    """A chat completion with the object in it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "..."}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"completion_tokens": 53}, "metrics": {"speculative_decoding": found}}


def put(path, text) -> str:
    """The path of a file with the text, or with the JSON of a document."""
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return str(path)


def random_pair(seed: int = 0, size: int = 6) -> MarkovPair:
    """A pair of which about half of the first drafted tokens are accepted."""
    rng = np.random.default_rng(seed)
    return MarkovPair(rng.dirichlet(np.ones(size), size), rng.dirichlet(np.ones(size), size))


def decoded(pair, procedure="naive", depth=3, requests=40, steps=25, seed=1, width=1):
    """Texts written by a procedure of ``veridraft.simulate``, coin by coin, all requests in step.

    (lengths by request, the trace of all steps): the root of a step is the last token of the step before.
    """
    rng = np.random.default_rng(seed)
    run = PROCEDURES[procedure] if isinstance(procedure, str) else procedure
    target, draft = np.asarray(pair.target, dtype=float), np.asarray(pair.draft, dtype=float)
    last, writer = rng.integers(len(target), size=requests), TraceWriter()
    lengths = [[] for _ in range(requests)]
    for _ in range(steps):
        seen = [np.repeat(last[:, None], width, axis=1)]
        for _ in range(depth):
            uniform = rng.random((requests, width, 1))
            seen.append((draft[seen[-1]].cumsum(axis=-1) < uniform * draft[seen[-1]].sum(-1, keepdims=True)).sum(-1))
        contexts = np.stack(seen, axis=2)
        outcome = run(target[contexts], draft[contexts[:, :, :-1]], contexts[:, :, 1:], rng)
        for request, tau in enumerate(outcome.accepted.tolist()):
            lengths[request].append(tau)
            write(writer, request, contexts[request], target, draft, tau)
        last = outcome.tokens[np.arange(requests), outcome.accepted]
    return lengths, writer


def write(writer, request, contexts, target, draft, tau) -> None:
    """A step of K paths, path after path."""
    width, depth = contexts.shape[0], contexts.shape[1] - 1
    parents = [-1 if level == 0 else path * depth + level - 1 for path in range(width) for level in range(depth)]
    rows = [contexts[0, 0], *contexts[:, 1:].ravel().tolist()]
    drafted = draft[rows].copy()
    drafted[[1 + path * depth + depth - 1 for path in range(width)]] = 0
    writer.step(request, contexts[:, 1:].ravel().tolist(), target[rows], drafted, tau, parents)
