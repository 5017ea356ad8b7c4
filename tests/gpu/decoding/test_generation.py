"""``model.generate(..., custom_generate=...)``: the same texts, lengths, padding and refusals as transformers' own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")
transformers = pytest.importorskip("transformers", reason="the tests of veridraft.gpu need transformers")

from gpu_tiny import tiny_pair

from veridraft.gpu import speculative
from veridraft.gpu.decoding.drafting.n_gram import NGram

IDS = torch.tensor([[0, 0, 3, 1, 4], [9, 2, 6, 5, 3]])
MASK = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])


@pytest.fixture(scope="module")
def pair():
    return tiny_pair(end=11)


@pytest.mark.parametrize("policy", ["Chain(3)", "Iid(3, 2)", "TopPlusOne(2, 2)", NGram(3)], ids=str)
def test_greedy_texts_of_a_padded_batch_are_transformers_own(pair, policy):
    options = {"attention_mask": MASK, "do_sample": False, "max_new_tokens": 24}
    draft = None if isinstance(policy, NGram) else pair.draft
    found = pair.target.generate(IDS, custom_generate=speculative(draft, policy=policy), **options)
    assert found.tolist() == pair.target.generate(IDS, **options).tolist()


def test_sampling_settings_seeds_and_several_texts(pair):
    options = {"do_sample": True, "temperature": 0.7, "top_k": 5, "top_p": 0.9, "max_length": 20}
    options |= {"num_return_sequences": 2, "attention_mask": MASK}
    first, again, other = (
        pair.target.generate(IDS, custom_generate=speculative(pair.draft, seed=seed), **options) for seed in (1, 1, 2)
    )
    assert first.shape[0] == 4 and first.shape[1] <= 20
    assert first.tolist() == again.tolist() != other.tolist()
    torch.manual_seed(5)
    one = pair.target.generate(IDS, custom_generate=speculative(pair.draft), **options)
    torch.manual_seed(5)
    assert one.tolist() == pair.target.generate(IDS, custom_generate=speculative(pair.draft), **options).tolist()


def test_a_streamer_gets_the_prompt_and_every_token(pair):
    seen, puts = [], []

    class Streamer:
        def put(self, value):
            seen.extend(value.flatten().tolist())
            puts.append(len(value.flatten()))

        def end(self):
            seen.append("end")

    options = {"max_new_tokens": 9, "do_sample": False, "streamer": Streamer()}
    out = pair.target.generate(IDS[1:], custom_generate=speculative(pair.draft), **options)
    assert seen == [*out[0].tolist(), "end"]
    assert puts[0] == IDS.shape[1] and len(puts) > 2
    with pytest.raises(ValueError, match="streamer takes one text, but there are 2"):
        pair.target.generate(IDS, custom_generate=speculative(pair.draft), **options)


def test_transformers_own_streamer_writes_the_text(pair, capsys):
    class Numbers:
        def decode(self, tokens, **_):
            return " ".join(map(str, tokens))

    options = {"max_new_tokens": 9, "do_sample": False, "streamer": transformers.TextStreamer(Numbers(), True)}
    out = pair.target.generate(IDS[1:], custom_generate=speculative(pair.draft), **options)
    assert list(map(int, capsys.readouterr().out.split())) == out[0, IDS.shape[1] :].tolist()


def test_a_dictionary_is_returned_when_asked_for(pair):
    rule = speculative(pair.draft)
    options = {"max_new_tokens": 4, "do_sample": False, "return_dict_in_generate": True}
    assert pair.target.generate(IDS[1:], custom_generate=rule, **options).sequences.shape == (1, 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repetition_penalty": 1.2}, "RepetitionPenaltyLogitsProcessor"),
        ({"num_beams": 2}, "num_beams = 2"),
        ({"stopping_criteria": [transformers.MaxTimeCriteria(1.0)]}, "MaxTimeCriteria"),
        ({"logits_processor": [transformers.MinLengthLogitsProcessor(3, 1)]}, "MinLengthLogitsProcessor"),
    ],
)
def test_what_would_change_the_law_is_refused(pair, options, message):
    with pytest.raises(ValueError, match=message):
        pair.target.generate(IDS, custom_generate=speculative(pair.draft), max_new_tokens=4, **options)


def test_a_verifier_that_does_not_fit_is_refused_when_it_runs(pair):
    with pytest.raises(ValueError, match="not known to be lossless"):
        pair.target.generate(IDS, custom_generate=speculative(pair.draft, "block", "Iid(2, 2)"), max_new_tokens=4)
