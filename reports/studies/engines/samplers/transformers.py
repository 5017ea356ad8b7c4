"""transformers: its rejection sampler and each of its candidate generators, in one setting each.

All settings are tried by the study real-audits on the version that is installed; here the version is pinned.
"""

from __future__ import annotations

from dataclasses import replace

from ...real_audits import audited_transformers
from ...real_audits.audited import Auditee
from ..audited import EngineAuditee

SETTING = ": default settings"

ARGMAX = """\
import torch
from types import SimpleNamespace as Some
from transformers import GenerationConfig, LlamaConfig
from transformers.generation.candidate_generator import SinglePositionMultiTokenCandidateGenerator

class Gemma4AssistantForCausalLM(torch.nn.Module):  # the name that generate asks for
    config, device = LlamaConfig(vocab_size=3), torch.device("cpu")
    generation_config = GenerationConfig(num_assistant_tokens=1)
    def forward(self, **ignored):
        row = torch.tensor([0.2, 0.25, 0.55])
        return Some(logits=row.log()[None, None], last_hidden_state=torch.zeros(1, 1, 4))

state = torch.zeros(1, 1, 4)
maker = SinglePositionMultiTokenCandidateGenerator(
    Gemma4AssistantForCausalLM(), lambda ids: state, Some(max_length=3)
)
outputs = Some(hidden_states=[state], shared_kv_states={})
made = [maker.get_candidates(torch.tensor([[0]]), {}, outputs, False, 0) for _ in range(1000)]
drawn = torch.bincount(torch.tensor([int(ids[0, -1]) for ids, _ in made]), minlength=3) / 1000
told = [round(x, 2) for x in made[0][1][0, 0].softmax(-1).tolist()]
print("drawn", drawn.tolist(), "told", told, "expected the same")
"""

PERMUTED = """\
import torch
from transformers.generation.candidate_generator import AssistantToTargetTranslator

class Listed(dict):  # a tokenizer of single letters
    def get_vocab(self):
        return dict(self)
    def __call__(self, text, **ignored):
        return {"input_ids": []}

class Assistant:
    device, head, embedding = "cpu", torch.nn.Linear(1, 3, bias=False), torch.nn.Embedding(3, 1)
    def get_output_embeddings(self):
        return self.head
    def get_input_embeddings(self):
        return self.embedding
    def set_output_embeddings(self, head):
        self.head = head
    def set_input_embeddings(self, embedding):
        pass

assistant = Assistant()
assistant.head.weight.data = torch.tensor([[0.9], [0.1], [1.0]]).log()  # a, b, c
translator = AssistantToTargetTranslator(Listed(a=0, b=1), Listed(b=1, a=0, c=2), 2, assistant, True)
logits = assistant.head(torch.ones(1, 1, 1))
none = torch.zeros(1, 0, dtype=torch.long)
law = {}
for place, share in enumerate(logits[0, 0].softmax(-1).tolist()):
    law["ab"[int(translator.get_target_ids(none, none, torch.tensor([[place]]))[0, 0])]] = round(share, 2)
told = [round(x, 2) for x in translator.get_target_logits(logits)[0, 0].softmax(-1).tolist()]
print("drawn", dict(sorted(law.items())), "told", dict(zip("ab", told)), "expected the same")
"""

LINES = {"SinglePositionMultiTokenCandidateGenerator": ARGMAX, "UniversalSpeculativeDecodingGenerator": PERMUTED}


def auditees() -> tuple[EngineAuditee, ...]:
    """The sampler, and every generator with transformers' own settings."""
    sampler, ensemble, *generators = audited_transformers.auditees()
    chosen = [sampler, ensemble, *(one for one in generators if one.key.endswith(SETTING))]
    return tuple(map(_of_engine, chosen))


def _of_engine(auditee: Auditee) -> EngineAuditee:
    name = auditee.key.removesuffix(SETTING)
    key = name if name.startswith("transformers") else f"transformers {name}"
    return EngineAuditee(**vars(replace(auditee, key=key)), lines=LINES.get(name, ""))
