"""Targets beyond one device: two processes write what one writes, and keep its cache between them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")
if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
    pytest.skip("this build of torch has no gloo, over which two processes would speak", allow_module_level=True)

import parallel_worker
from gpu_tiny import PROMPTS, tiny_model

from veridraft.gpu.decoding.passes.cache import BatchModel
from veridraft.gpu.decoding.passes.packing import packed_pair
from veridraft.gpu.models.pairs import load_pair
from veridraft.gpu.models.split.pairs import load_split_pair
from veridraft.gpu.models.split.ranks import Leader, LeadingModel, on_all_ranks


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    for name, layers in (("target", 3), ("draft", 1)):
        tiny_model(layers=layers).save_pretrained(place / name)
    return str(place / "target"), str(place / "draft")


@pytest.fixture(scope="module")
def ranks(folders, tmp_path_factory):
    """What each of two ranks under torchrun found."""
    out = tmp_path_factory.mktemp("ranks") / "rank"
    tests = str(Path(__file__).parents[3])
    paths = os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = subprocess.run(
        [*command, f"{tests}/parallel_worker.py", *folders, str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return [torch.load(f"{out}-{rank}.pt", weights_only=False) for rank in (0, 1)]


@pytest.mark.parametrize("which", [0, 1], ids=["a draft on rank 0", "a draft of the split target"])
def test_two_ranks_write_what_one_process_writes(folders, ranks, which):
    name, work = ((folders[1], parallel_worker.texts), ("skip:1", parallel_worker.text))[which]
    expected = on_all_ranks(load_pair(folders[0], name), work)
    assert ranks[0][name] == ranks[1][name] == expected


def test_both_ranks_hold_their_heads_of_one_cache(folders, ranks):
    tokens = parallel_worker.unfinished(load_pair(folders[0], "skip:1"))
    assert ranks[0]["request"] == ranks[1]["request"] == tokens
    prompt, text, length = tokens
    whole = parallel_worker.share(parallel_worker.ALIVE[-1][1].cache, length)
    assert length == len(prompt) + len(text) - 1
    halves = [one["cache"] for one in ranks]
    assert halves[0].shape[3] == halves[1].shape[3] == 1
    torch.testing.assert_close(torch.cat(halves, dim=3), whole, atol=1e-4, rtol=1e-4)


def test_an_error_on_the_first_rank_ends_the_others(ranks):
    assert [one["error"] for one in ranks] == [
        "ValueError: on purpose",
        "ChildProcessError: rank 0 was stopped: ValueError: on purpose",
    ]
    assert all("decode with veridraft instead of generate" in one["generate"] for one in ranks)


def test_split_networks_are_not_packed(folders, ranks, tmp_path):
    said = "target is split over ranks: only a network in one piece can be packed"
    assert [one["packed"] for one in ranks] == [said, said]
    with pytest.raises(ValueError, match=r"target lies on cpu, meta \(offloaded\)"):
        packed_pair(load_split_pair(folders[0], folders[1], **on_disk(tmp_path)))


def on_disk(folder):
    """The second layer of the target lies on the disk."""
    names = ["model.embed_tokens", "model.layers.0", "model.layers.2", "model.norm", "model.rotary_emb", "lm_head"]
    return {"device_map": dict.fromkeys(names, "cpu") | {"model.layers.1": "disk"}, "offload_folder": str(folder)}


@pytest.mark.parametrize("name", ["draft", "skip:1"])
def test_a_target_partly_on_the_disk_writes_the_same(folders, tmp_path, name):
    name = folders[1] if name == "draft" else name
    pair = load_split_pair(folders[0], name, **on_disk(tmp_path))
    assert any(one.device.type == "meta" for one in pair.target.parameters())
    assert parallel_worker.text(pair) == parallel_worker.text(load_pair(folders[0], name))


class Deaf:
    """A channel that nobody hears."""

    def send(self, message):
        pass


def test_a_cache_that_cannot_be_followed_is_refused():
    network = BatchModel(LeadingModel(tiny_model(), "target", Leader(Deaf())), 1, 32)
    network.append(1, [PROMPTS[0]])
    network.layers[0] = network.cache.layers[0] = SimpleNamespace()
    with pytest.raises(TypeError, match="cache layers of type SimpleNamespace have none of grow, move, copy_row"):
        network.append(1, [[1]])


def test_bad_input_is_refused(folders, tmp_path, monkeypatch):
    target, draft = folders
    with pytest.raises(ValueError, match="either device_map or tensor_parallel"):
        load_split_pair(target, draft)
    with pytest.raises(ValueError, match="either device_map or tensor_parallel"):
        load_split_pair(target, draft, device_map="auto", tensor_parallel=True)
    with pytest.raises(ValueError, match="start the command with torchrun"):
        load_split_pair(target, draft, tensor_parallel=True)
    with pytest.raises(ValueError, match="draft is missing"):
        load_split_pair(target, None, device_map="auto")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match="3 ranks cannot share the target's 4 attention heads evenly"):
        load_split_pair(target, draft, tensor_parallel=True)
    with pytest.raises(ValueError, match="embeddings on the disk"):
        options = on_disk(tmp_path)
        options["device_map"]["model.embed_tokens"] = "disk"
        load_split_pair(target, draft, **options)
