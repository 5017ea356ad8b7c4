"""Loops of packages of the Python index that draft by themselves: one round, or a whole generation."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from veridraft.simulate.adapters.torch_tools import as_numpy_generator, seeded, tensor, token_list
from veridraft.simulate.forms.cases import Case
from veridraft.theory.pairs.base import Pair
from veridraft.theory.pairs.families import dirichlet_pair
from veridraft.theory.policies.paths import Chain

from .audited import Built
from .audited_models import RowModel, prompt, row_models

DEPTH = 2
"""Drafted tokens of a round."""


def pair() -> Pair:
    """The pair of what drafts by itself: four tokens, rows that differ at every context."""
    return dirichlet_pair(4, seed=41, concentration=0.7)


def generated(round_of: Callable[..., list[int]], source: Pair | None = None, depth: int = DEPTH) -> Built:
    """The audit of ``round_of()``, new tokens of one round, under global generators that are seeded for it."""

    def run(rng: Any) -> list[int]:
        with seeded(as_numpy_generator(rng)):
            return round_of()

    return run, [Case("rows", source or pair(), Chain(depth), "rows that differ at every context")]


def rotalabs_tree() -> Built:
    """``SpeculationTree.build_tree`` and ``verify_tree``: two children a node, two levels."""
    module = import_module("rotalabs_accel.speculative.tree")
    target, draft = row_models(pair())
    config = module.TreeSpecConfig(max_depth=DEPTH, branch_factor=2, max_candidates=16, temperature=1.0)

    def round_of() -> list[int]:
        tree = module.SpeculationTree(config)
        drafted, weights, _ = tree.build_tree(draft, prompt(), "cpu")
        return token_list(module.verify_tree(target, prompt(), tree, drafted, weights, 1.0, "cpu")[0])

    return generated(round_of)


def rotalabs_decode() -> Built:
    """``speculative_decode``, the package's entry point, on two tiny Llamas."""
    import torch

    from .audited_models import letter_tokenizer, tiny_llama

    module, tokenizer = import_module("rotalabs_accel.speculative"), letter_tokenizer("abcdef")
    models = tiny_llama(2, layers=1), tiny_llama(1)
    config = module.SpeculativeConfig(lookahead_k=2, max_new_tokens=3)

    def round_of() -> list[int]:
        text, _ = module.speculative_decode(*models, tokenizer, "b", config, torch.device("cpu"))
        return token_list(tokenizer.encode(text))[1:]

    return generated(round_of)


def sequential(name: str) -> Callable[[], Built]:
    """A step of sequential-speculative-decoding, three drafted tokens, temperature 1 on both sides."""

    def build() -> Built:
        step = getattr(import_module(f"seqspecdecod.{SEQUENTIAL[name]}"), name)
        target, draft = row_models(pair())

        def round_of() -> list[int]:
            return token_list(step(draft, target, prompt(), 3, 1.0, 1.0)[0])[1:]

        return generated(round_of)

    return build


SEQUENTIAL = {
    "standard_speculative_step": "standard_sd", "naive_hsd_step": "naive_hsd", "capped_hsd_step": "capped_hsd",
}  # fmt: skip


def specdec_round() -> Built:
    """``generate_small`` and ``verify`` of a ``SpecDecoder`` whose models are set, not loaded."""
    cls = import_module("specdec.decoder").SpecDecoder
    decoder = cls.__new__(cls)
    decoder.big_model, decoder.small_model = row_models(pair())
    decoder.device = "cpu"

    def round_of() -> list[int]:
        return token_list(decoder.verify(prompt(), *decoder.generate_small(prompt(), DEPTH)))

    return generated(round_of)


def mini_infer_step() -> Built:
    """``speculative_step`` at temperature 1."""
    step = import_module("mini_infer.speculative.verifier").speculative_step
    target, draft = row_models(pair(), as_tuple=True)
    return generated(lambda: token_list(step(target, draft, prompt(), DEPTH, 1.0)[0]))


class TwoFaced(RowModel):
    """A row model that is the target while the engine that runs it verifies, and the draft otherwise."""

    engine: Any = None

    def __init__(self, target: Callable[..., Any], draft: Callable[..., Any]) -> None:
        super().__init__(target, caches=True)
        self.faces = RowModel(draft, caches=True), RowModel(target, caches=True)

    def __call__(self, input_ids: Any, past_key_values: Any = None, **ignored: Any) -> Any:
        """The answer of the face that the engine asks for."""
        return self.faces[self.engine._in_verify](input_ids, past_key_values)


def csaq_round(source: Pair, lookahead: int, new_tokens: int) -> Callable[[], list[int]]:
    """New tokens from csaq-quant's speculative loop, its quantised weights and its exact ones being a pair's rows."""
    import warnings

    model = TwoFaced(source.target_row, source.draft_row)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an engine without quantised layers
        engine = import_module("csaq.inference").CSAQInferenceEngine(model, {}, verbose=False)
    model.engine = engine

    def round_of() -> list[int]:
        return token_list(engine._generate_speculative(prompt(), new_tokens, lookahead, 1.0, 1.0)[0])[1:]

    return round_of


def csaq_loop() -> Built:
    """``_generate_speculative`` of an engine whose draft and verify passes are the two rows of a pair."""
    return generated(csaq_round(pair(), lookahead=DEPTH, new_tokens=3))


def lucid(filtered: float) -> Callable[[], Built]:
    """``speculative_decoding`` of speculative-decoding on two of its own decoders, with that ``filter_thres``."""

    def build() -> Built:
        import torch

        module = import_module("speculative_decoding.speculative_decoding")
        nets = _decoder(module, 1, 2), _decoder(module, 2, 1)
        first = tensor([[1, 2]], "int64")

        def round_of() -> list[int]:
            return token_list(module.speculative_decoding(*nets, first, 6, gamma=DEPTH, filter_thres=filtered)[0])

        class Target(Pair):
            vocabulary_size, exact = 5, False

            def target_row(self, context: tuple[int, ...]) -> Any:
                with torch.no_grad():
                    scores = module.top_k(nets[0](tensor([[1, 2, *context]], "int64"))[:, -1], thres=filtered)
                row = scores[0].double().softmax(-1).numpy()
                return row / row.sum()

            draft_row = target_row

        return generated(round_of, Target())

    return build


def _decoder(module: Any, seed: int, depth: int) -> Any:
    """A decoder of the package with random weights, its head five times as sharp."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = module.Decoder(num_tokens=5, dim=16, depth=depth, heads=2, dim_head=8).eval()
    net.to_logits[1].weight.data *= 4
    return net
