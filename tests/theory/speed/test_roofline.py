"""Rooflines of batches, experts and several GPUs: by hand, against published step times, against a measured file."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from veridraft.gpu.latency import LatencyFile
from veridraft.theory import Chain, Schedule
from veridraft.theory.speed import (
    DEVICES,
    FORMATS,
    NETWORKS,
    Device,
    Network,
    NoPass,
    Roofline,
    fitted_roofline,
    get_format,
    network_of_config,
    passes_of,
    roofline_model,
    worst_error,
)

HALF = Fraction(1, 2)
LLAMA2_7B = Network("Llama-2-7B", 32, 4096, 32, 32, 128, 11008, 32000)
LLAMA2_70B = Network("Llama-2-70B", 80, 8192, 64, 8, 128, 28672, 32000)
TOY = Network("toy", layers=2, width=3, heads=2, cache_heads=1, head_width=5, inner=7, vocabulary_size=11)
"""153 weights of products a layer, 33 of the output matrix, 15 of norms; 20 cache entries and 80 FLOPs a token."""

PUBLISHED = {
    "135M": 134_515_008, "0.5B": 494_032_768, "1B": 1_235_814_400, "1.5B": 1_543_714_304, "3B": 3_212_749_824,
    "7B": 7_615_616_512, "8B": 8_030_261_248, "13B": 13_015_864_320, "14B": 14_770_033_664, "32B": 32_763_876_352,
    "70B": 70_553_706_496, "72B": 72_706_203_648, "405B": 405_853_388_800, "8x7B": 46_702_792_704,
    "8x22B": 140_620_634_112, "30B-A3B": 30_532_122_624, "235B-A22B": 235_093_634_560,
}  # fmt: skip


def test_every_named_shape_has_the_published_number_of_parameters():
    assert {name: network.parameters for name, network in NETWORKS.items()} == PUBLISHED
    assert LLAMA2_7B.parameters == 6_738_415_616


def test_a_batch_reads_its_weights_once_and_its_caches_each():
    """(354 weights x 2 + 6 requests x 20 entries x 8 tokens) / 50 bytes a second; arithmetic is 6 times one's."""
    device = Device("toy", bandwidth=100, peak=10**9, memory=10**6)
    shares = {"bandwidth_share": HALF, "peak_share": Fraction(1, 4), "layer_overhead": 0, "cache_bytes": 1}
    assert Roofline(TOY, device, batch=6, **shares).seconds(5, 3) == Fraction(354 * 2 + 6 * 20 * 8, 50)
    slow = replace(device, peak=8)
    assert Roofline(TOY, slow, batch=6, **shares).seconds(5, 3) == 6 * Fraction((2 * 339 + 80 * 8) * 3, 2)
    with pytest.raises(ValueError, match="batch must be at least 1"):
        Roofline(TOY, device, batch=0)


def test_the_experts_that_tokens_touch_are_those_of_a_simulation():
    """Two of eight, drawn without replacement by each of n tokens: the mean share touched, within 5 standard errors."""
    network, rng = NETWORKS["8x7B"], np.random.default_rng(0)
    for tokens in (1, 3, 10):
        drawn = rng.random((20_000, tokens, 8)).argsort(axis=2)[:, :, :2]
        touched = [len(np.unique(one)) for one in drawn]
        error = np.std(touched) / len(touched) ** 0.5
        assert network.experts_touched(tokens) == pytest.approx(np.mean(touched), abs=5 * error + 1e-12)


def test_a_mixture_of_experts_is_counted_by_hand():
    """Mixtral 8x7B: 12.9 billion weights meet a token; a pass of many reads all but the input table."""
    network = NETWORKS["8x7B"]
    expert = 3 * 4096 * 14336
    assert network.product_weights == 32 * (4096 * (2 * 4096 + 2 * 1024 + 8) + 2 * expert) + 32000 * 4096
    assert network.weights_of_pass(1) == pytest.approx(network.read_weights - 32 * 6 * expert)
    assert network.weights_of_pass(10_000) == pytest.approx(network.parameters - 32000 * 4096)
    dense = NETWORKS["8B"]
    assert dense.weights_of_pass(1) == dense.weights_of_pass(500) == dense.read_weights
    with pytest.raises(ValueError, match="active of x is 3, but it has 2 experts"):
        Network("x", 1, 1, 1, 1, 1, 1, 1, experts=2, active=3)


def test_several_gpus_wait_for_one_another():
    """Two sums a layer: 1/7 s, and by a ring 2 (g - 1) / g of 4 x 3 tokens of 3 numbers of 2 bytes at 10 bytes/s."""
    pair = Device("toy", 100, 10**9, 10**6, link=10).times(4)
    assert (pair.bandwidth, pair.memory, pair.count) == (400, 4 * 10**6, 4)
    roofline = Roofline(TOY, pair, batch=4, all_reduce=Fraction(1, 7))
    assert roofline.link_seconds(3) == 2 * 2 * (Fraction(1, 7) + 4 * 3 * 3 * 2 * 2 * 3 / 4 / 10)
    assert Roofline(TOY, replace(pair, count=1)).link_seconds(3) == 0


@pytest.mark.parametrize(
    ("network", "tokens_per_second"),
    [(LLAMA2_7B, {1: 104.9, 2: 168.84, 4: 254.02, 8: 328.43}), (LLAMA2_70B, {2: 21.32, 4: 38.01, 8: 62.50})],
)
def test_tensor_parallel_decoding_meets_gpt_fasts_table(network, tokens_per_second):
    """A100, bf16, batch 1, tokens a second by number of GPUs; the wait of a sum was fitted to these seven."""
    for count, published in tokens_per_second.items():
        found = 1 / Roofline(network, DEVICES["A100"].times(count)).seconds(100, 1)
        assert found == pytest.approx(published, rel=0.12), count


def test_quantised_decoding_meets_gpt_fasts_table():
    """Weight-only int8, and int4 in groups of 32 (a scale and a zero of 16 bits each: 0.625 bytes a weight)."""
    for name, size, published in (("int8", 1, (155.58, 19.13)), ("int4", 0.625, (196.80, 25.25))):
        for network, speed in zip((LLAMA2_7B, LLAMA2_70B), published, strict=True):
            share = get_format(name).bandwidth_share
            roofline = Roofline(network, DEVICES["A100"], weight_bytes=size, bandwidth_share=share)
            assert 1 / roofline.seconds(100, 1) == pytest.approx(speed, rel=0.14), (name, network.name)


def test_plain_decoding_on_another_gpu_meets_a_papers_table():
    """2505.12398: RTX A6000, plain decoding of Llama-3.1-8B 34.5 and of Llama-2-7B 37.3 tokens a second."""
    for network, published in ((NETWORKS["8B"], 34.5), (LLAMA2_7B, 37.3)):
        assert 1 / Roofline(network, DEVICES["A6000"]).seconds(500, 1) == pytest.approx(published, rel=0.07)


def test_a_roofline_fitted_to_the_targets_passes_foresees_the_drafts():
    """The committed file, CPU time: 15 % at worst on the target's eight passes, 25 % on the six of a smaller draft."""
    run = Path(__file__).parents[3] / "reports" / "runs" / "latency-cpu"
    file = LatencyFile.load(run)
    target, draft = (passes_of(file.table(name, clock="cpu")) for name in ("target", "draft"))
    fitted = fitted_roofline(NETWORKS["135M"], target, weight_bytes=4, cache_bytes=4)
    assert worst_error(fitted, target) < 0.16
    assert worst_error(replace(fitted, network=replace(NETWORKS["135M"], layers=26)), draft) < 0.25
    with pytest.raises(ValueError, match="passes must be at least three"):
        fitted_roofline(NETWORKS["135M"], target[:2])


def test_a_fit_finds_the_machine_that_made_the_passes():
    true = Roofline(TOY, Device("toy", 2e3, 3e4, 1e9), bandwidth_share=1, peak_share=1, layer_overhead=0.02)
    passes = [(context, new, true.seconds(context, new)) for context in (10, 60) for new in (1, 2, 8, 32)]
    assert worst_error(fitted_roofline(TOY, passes), passes) < 0.01


def test_formats_halve_bytes_and_double_the_peak_where_the_gpu_can():
    h100, a100 = DEVICES["H100"], DEVICES["A100"]
    assert h100.peak_of(FORMATS["fp8"]) == 2 * h100.peak
    assert a100.peak_of(FORMATS["fp8"]) == a100.peak
    assert h100.peak_of(FORMATS["int8"]) == h100.peak
    eight = roofline_model(NETWORKS["8B"], NETWORKS["1B"], h100, number_format="fp8", layer_overhead=0)
    sixteen = roofline_model(NETWORKS["8B"], NETWORKS["1B"], h100, layer_overhead=0)
    assert 2 * eight.target.seconds(0, 1) == pytest.approx(sixteen.target.seconds(0, 1), rel=1e-4)
    with pytest.raises(ValueError, match="number format 'int3' is unknown; known are bf16"):
        get_format("int3")


def test_draft_kinds_cost_what_they_read():
    """A head is a layer, 2 width^2 weights that join its two inputs, and the target's output matrix; n-grams: none."""
    target = NETWORKS["8B"]
    head = target.head()
    layer = 4096 * (2 * 4096 + 2 * 1024 + 3 * 14336) + 2 * 4096**2
    assert head.read_weights == layer + 128256 * 4096 + 3 * 4096
    assert NETWORKS["30B-A3B"].head().inner == 8 * 768
    model = roofline_model(target, None, DEVICES["H100"], batch=4)
    assert isinstance(model.draft, NoPass)
    step = model.step(Schedule.of_policy(Chain(3)), 100)
    assert step.draft == 0
    assert (model.name, model.batch) == ("H100, 8B with n-grams", 4)


def test_a_step_of_a_batch_verifies_every_request():
    one, many = (roofline_model(NETWORKS["8B"], NETWORKS["1B"], DEVICES["H100"], batch=batch) for batch in (1, 16))
    moved = 128256 * 32 / (3350e9 * 0.7)
    assert one.step(Schedule.of_policy(Chain(3)), 100).verification == pytest.approx(2e-4 + 4 * moved)
    assert many.step(Schedule.of_policy(Chain(3)), 100).verification == pytest.approx(2e-4 + 16 * 4 * moved)
    assert one.plain(100) == one.target.seconds(99, 1) + 5e-4


def test_caches_that_do_not_fit_are_refused_and_padded_tables_are_not():
    roofline_model(NETWORKS["32B"], NETWORKS["0.5B"], DEVICES["H200"])
    with pytest.raises(ValueError, match=r"with 600 requests of 1000 tokens needs 108\.\d GiB, but H100 has 80"):
        roofline_model(NETWORKS["8B"], NETWORKS["1B"], DEVICES["H100"], batch=600, tokens=1000)


LLAMA = {"model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32,
         "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256}  # fmt: skip


def test_a_models_own_configuration_is_read(tmp_path):
    (tmp_path / "my-model").mkdir()
    path = tmp_path / "my-model" / "config.json"
    path.write_text(json.dumps(LLAMA))
    assert network_of_config(path.parent) == replace(NETWORKS["8B"], name="my-model")
    assert network_of_config({"text_config": LLAMA, "model_type": "mllama"}, "x") == replace(NETWORKS["8B"], name="x")
    qwen = {"model_type": "qwen2", "num_hidden_layers": 24, "hidden_size": 896, "num_attention_heads": 14,
            "num_key_value_heads": 2, "intermediate_size": 4864, "vocab_size": 151936,
            "tie_word_embeddings": True}  # fmt: skip
    assert network_of_config(qwen, "0.5B") == NETWORKS["0.5B"]
    experts = {**LLAMA, "model_type": "mixtral", "vocab_size": 32000, "num_local_experts": 8, "num_experts_per_tok": 2}
    assert network_of_config(experts, "8x7B") == NETWORKS["8x7B"]
    many = {"model_type": "qwen3_moe", "num_hidden_layers": 48, "hidden_size": 2048, "num_attention_heads": 32,
            "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8,
            "intermediate_size": 6144, "moe_intermediate_size": 768, "vocab_size": 151936}  # fmt: skip
    assert network_of_config(many, "30B-A3B") == NETWORKS["30B-A3B"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "deepseek_v3"}, "model_type 'deepseek_v3' is not one that is counted"),
        ({"model_type": "lama"}, "did you mean llama"),
        ({"vocab_size": None}, "config lacks 'vocab_size'"),
        ({"hidden_size": 0}, "hidden_size must be a whole number of at least 1, but is 0"),
        ({"hidden_size": "4096"}, "hidden_size must be a whole number"),
        ({"model_type": "qwen3_moe", "mlp_only_layers": [0]}, "some of its layers have experts"),
    ],
)
def test_a_bad_configuration_is_refused_by_name(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        network_of_config({**LLAMA, **changes})
    broken = tmp_path / "config.json"
    broken.write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        network_of_config(broken)
    with pytest.raises(FileNotFoundError):
        network_of_config(tmp_path / "nowhere.json")
