"""What the terms of a model say about training another model on what it wrote.

Facts about families of models, with where they stand; no legal advice. Terms change and depend on
how a model is reached: the source has the last word. What is not in the table is said to be
unknown, never assumed to be free.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Literal

Restriction = Literal["none", "conditions", "competitors", "other_models", "unknown"]
NOTHING_WRITTEN_BY_A_MODEL = "none: recombined from the pool's own texts"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known of the terms.

    Args:
        family: the models that they are of.
        restriction: on training a model with their output: `none`; `conditions` (a name, a
            notice, terms to be passed on); `competitors` (no model that competes with the
            provider); `other_models` (no other large language model); `unknown`.
        words: that in a sentence.
        source: where it stands; empty where unknown.
    """

    family: str
    restriction: Restriction
    words: str
    source: str

    @property
    def warns(self) -> bool:
        """Whether a person should read the terms before training on the output."""
        return self.restriction != "none"

    def as_record(self) -> dict[str, str]:
        """Plain data."""
        return asdict(self)


_OPEN = "the licence says nothing against training on what the model writes"
# The first pattern that is found in the model's name counts: exceptions stand before families.
_TABLE: tuple[tuple[str, Terms], ...] = (
    (
        r"gpt-oss",
        Terms("gpt-oss", "none", _OPEN, "https://huggingface.co/openai/gpt-oss-120b (Apache-2.0)"),
    ),
    (
        r"^smollm",
        Terms(
            "SmolLM",
            "none",
            _OPEN,
            "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct (Apache-2.0)",
        ),
    ),
    (
        r"^(?:gpt-|chatgpt|o[134](?:-|$)|text-davinci)",
        Terms(
            "OpenAI",
            "competitors",
            "output may not be used to develop models that compete with OpenAI",
            "https://openai.com/policies/terms-of-use/ (what you cannot do)",
        ),
    ),
    (
        r"^claude",
        Terms(
            "Anthropic Claude",
            "competitors",
            "no competing product or service may be built, the training of competing models "
            "included",
            "https://www.anthropic.com/legal/commercial-terms (use restrictions)",
        ),
    ),
    (
        r"^gemini",
        Terms(
            "Google Gemini API",
            "competitors",
            "no models that compete with the services may be developed",
            "https://ai.google.dev/gemini-api/terms (use restrictions)",
        ),
    ),
    (
        r"^gemma-?4",
        Terms("Gemma 4", "none", _OPEN, "https://ai.google.dev/gemma/apache_2 (Apache-2.0)"),
    ),
    (
        r"gemma",
        Terms(
            "Gemma 1 to 3",
            "conditions",
            "a model trained on output to perform like Gemma is a model derivative, to which the "
            "terms pass on",
            "https://ai.google.dev/gemma/terms (section 1.1 (e))",
        ),
    ),
    (
        r"llama-?(?:3\.[1-9]|4(?!\d*b))",
        Terms(
            "Llama 3.1 and later",
            "conditions",
            "a model trained on output and made available must have a name that begins with Llama",
            "https://www.llama.com/llama3_1/license/ (section 1.b.i)",
        ),
    ),
    (
        r"llama-?[23](?![\d.])",
        Terms(
            "Llama 2 and 3.0",
            "other_models",
            "output may not be used to improve any other large language model",
            "https://www.llama.com/llama3/license/ (section 1.b.v)",
        ),
    ),
    (
        r"qwen-?2(?:\.5)?(?:-\w+)?-(?:3b|72b)",
        Terms(
            "Qwen2 and Qwen2.5 72B, Qwen2.5 3B",
            "conditions",
            "a model trained on output and made available must say that it was built with or "
            "improved using Qwen; the 3B model is for research only",
            "https://huggingface.co/Qwen/Qwen2.5-72B-Instruct/blob/main/LICENSE",
        ),
    ),
    (
        r"qwen-?(?:2(?:\.5)?|3)-(?:\w+-)?\d",
        Terms(
            "Qwen2, Qwen2.5 and Qwen3", "none", _OPEN, "https://huggingface.co/Qwen (Apache-2.0)"
        ),
    ),
    (
        r"deepseek-(?:r1|v3)(?!-distill)",
        Terms(
            "DeepSeek-R1 and V3",
            "none",
            "distillation is allowed in so many words",
            "https://github.com/deepseek-ai/DeepSeek-R1 (MIT)",
        ),
    ),
    (
        r"^(?:mistral-7b|mixtral-8x|mistral-nemo)",
        Terms(
            "Mistral 7B, Nemo, Mixtral",
            "none",
            _OPEN,
            "https://huggingface.co/mistralai (Apache-2.0)",
        ),
    ),
    (
        r"^(?:phi-[234]|smollm|olmo)",
        Terms("Phi, SmolLM, OLMo", "none", _OPEN, "their model cards (MIT, Apache-2.0)"),
    ),
)


def terms_of(model: str) -> Terms:
    """The terms of a model by its string, such as `vllm:Qwen/Qwen2.5-0.5B-Instruct@URL`.

    Only the model's name counts: behind `openai:NAME@URL` stands whatever that server serves.
    """
    name = bare_name(model)
    for pattern, terms in _TABLE:
        if re.search(pattern, name):
            return terms
    return Terms(
        name or "no name",
        "unknown",
        f"nothing is known here of the terms of {name!r}: read them before you train on its output",
        "",
    )


def bare_name(model: str) -> str:
    """The model's own name: without provider, organisation and address, in lower case."""
    name = model.partition(":")[2].partition("@")[0]
    return name.rpartition("#")[2].rpartition("/")[2].casefold()
