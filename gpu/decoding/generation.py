"""For users of transformers: ``model.generate(..., custom_generate=speculative(draft, ...))``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from veridraft.theory.policies.base import Policy

from ..models.backend import torch, transformers
from ..models.pairs import ModelPair
from ..trees.sampling import Sampling
from .batch import BatchDecoder
from .drafting.n_gram import NGram, any_policy
from .requests import Request

Tensor = torch.Tensor

REFUSED = {
    "num_beams": (None, 1),
    "output_scores": (None, False),
    "output_logits": (None, False),
    "output_attentions": (None, False),
    "output_hidden_states": (None, False),
}
"""Settings that are not kept, and the values at which there is nothing to keep."""

WARPERS = (
    transformers.TemperatureLogitsWarper,
    transformers.TopKLogitsWarper,
    transformers.TopPLogitsWarper,
)
"""Processors that :class:`.Sampling` stands for, in transformers' own order."""


def speculative(
    draft: Any = None,
    verifier: str | None = None,
    policy: Policy | str = "Chain(3)",
    rows: int | None = None,
    seed: int | None = None,
) -> Callable[..., Any]:
    """What to give to ``model.generate`` as ``custom_generate``: the texts have the model's own law, and come sooner.

    draft : a transformers model over the same vocabulary; ``None`` proposes n-grams of the text itself
    verifier : a name of the theory's table; the default is ``block`` for a chain, ``nss`` for n-grams,
        ``traversal`` else
    policy : how the draft's tree is drawn; :class:`.NGram` ``(length)`` without a draft, the default there
    rows : how many requests run at once; all of them by default
    seed : of the first text, the next ones count up; drawn from torch's generator by default

    ``generate`` keeps its meaning for ``do_sample``, ``temperature``, ``top_k``, ``top_p``, ``max_length``,
    ``max_new_tokens``, ``eos_token_id``, ``num_return_sequences``, padded batches, and ``streamer``, which gets the
    prompt, then every block as it is accepted; for one text.
    Raises ``ValueError`` that names any other setting or processor that would change the law.
    """
    chosen = _policy(draft, policy)
    name = verifier or _default_verifier(chosen)

    def custom_generate(
        model: Any,
        input_ids: Tensor,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        generation_config: Any = None,
        synced_gpus: bool = False,
        streamer: Any = None,
        **model_kwargs: Any,
    ) -> Tensor:
        _check(generation_config, logits_processor, stopping_criteria)
        streamer = streamer or _streamer_of_generate()
        if streamer is not None and len(input_ids) > 1:
            raise ValueError(f"streamer takes one text, but there are {len(input_ids)}")
        pair = ModelPair(model, draft, None, type(model).__name__, type(draft).__name__)
        sampling = sampling_of(generation_config)
        decoder = BatchDecoder(pair, name, chosen, sampling, rows or len(input_ids), _ends(generation_config))
        first = int(torch.randint(2**31, ()).item()) if seed is None else seed
        requests = _requests(input_ids, model_kwargs.get("attention_mask"), generation_config.max_length, first)
        return _generated(decoder, requests, input_ids, generation_config, streamer)

    return custom_generate


def _streamer_of_generate() -> Any:
    """The streamer that the ``generate`` below was given, which has put the prompt into it already.

    transformers (5.23) hands it to loops of its own alone, and drops it in silence for any other.
    """
    frame = inspect.currentframe()
    caller = frame and frame.f_back and frame.f_back.f_back
    return caller.f_locals.get("streamer") if caller and caller.f_code.co_name == "generate" else None


def sampling_of(config: Any) -> Sampling:
    """The sampling that a generation configuration asks for; greedy without ``do_sample``."""
    if not config.do_sample:
        return Sampling(temperature=0)
    temperature = 1.0 if config.temperature is None else config.temperature
    top_p = 1.0 if config.top_p is None else config.top_p
    return Sampling(temperature, config.top_k or None, top_p)


def _policy(draft: Any, policy: Policy | str) -> Policy:
    asked = any_policy(policy)
    return NGram(asked.depth) if draft is None and not isinstance(asked, NGram) else asked


def _default_verifier(policy: Policy) -> str:
    """A lossless verifier for the policy."""
    from veridraft.theory.verifiers.table import get_verifier

    wanted = ("block", "traversal", "univer", "lifted_spechub", "nss")
    return next(name for name in wanted if get_verifier(name).supports(policy))


def _check(config: Any, processors: Any, stopping_criteria: Any) -> None:
    """Raise for what would have to be kept and is not."""
    for name, harmless in REFUSED.items():
        value = getattr(config, name, None)
        if value not in harmless:
            raise ValueError(f"custom_generate of veridraft does not keep {name} = {value!r}")
    lengths = (transformers.MaxLengthCriteria, transformers.EosTokenCriteria)
    for given, known in ((processors, WARPERS), (stopping_criteria, lengths)):
        for one in given or ():
            if not isinstance(one, known):
                raise ValueError(f"custom_generate of veridraft does not keep {type(one).__name__}")


def _ends(config: Any) -> frozenset[int]:
    """The tokens that end a text."""
    ends = config.eos_token_id
    return frozenset() if ends is None else frozenset([ends] if isinstance(ends, int) else ends)


def _requests(input_ids: Tensor, mask: Tensor | None, max_length: int, seed: int) -> list[Request]:
    """One request for each row, its padding left out; a text may fill the row up to ``max_length``."""
    kept = torch.ones_like(input_ids) if mask is None else mask
    prompts = [row[here.bool()].tolist() for row, here in zip(input_ids, kept, strict=True)]
    room = max_length - input_ids.shape[1]
    return [Request(prompt, room, seed + number) for number, prompt in enumerate(prompts)]


def _generated(
    decoder: BatchDecoder, requests: list[Request], input_ids: Tensor, config: Any, streamer: Any
) -> Any:
    """(B, length) prompts and texts, padded on the right, as ``generate`` returns them."""
    texts: list[list[int]] = [[] for _ in requests]
    for block in decoder.stream(requests):
        texts[block.request] += block.tokens
        if streamer is not None:
            streamer.put(torch.tensor(block.tokens))
    if streamer is not None:
        streamer.end()
    longest = max(map(len, texts))
    pad = config.pad_token_id if config.pad_token_id is not None else min(_ends(config), default=0)
    rows = torch.tensor([text + [pad] * (longest - len(text)) for text in texts], device=input_ids.device)
    sequences = torch.cat([input_ids, rows], dim=1)
    if config.return_dict_in_generate:
        return transformers.generation.GenerateDecoderOnlyOutput(sequences=sequences)
    return sequences
