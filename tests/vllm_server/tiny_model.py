"""Makes a chat model with random weights that every engine loads: for tests of the plumbing.

    python tests/vllm_server/tiny_model.py FOLDER

It is a Qwen2 of two layers, 0.3 million weights, with a tokenizer trained on the sample and a
chat template. It writes nonsense; what is tested is everything around it. Marks that end a string,
a list or an answer are likelier than other tokens, white space and control characters less likely,
so that its nonsense is short.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parents[2] / "evals" / "sample" / "support.csv"
WORDS = 2_000
LENGTH = 32_768
ENDS = 0.11
"""Weight of the direction in which marks that end something lie: the larger, the shorter."""
SHARPNESS = 10.0
"""Random weights alone make all tokens about as likely."""
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if tools %}<|im_start|>tools\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    "<|im_end|>\n{% endif %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_model(folder: Path, *, seed: int = 0, length: int = LENGTH) -> Path:
    """Write the model to `folder`, which is returned.

    Args:
        folder: made where it is missing.
        seed: of the random weights.
        length: tokens that the model takes, prompt and answer together.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = _tokenizer(_texts(), length)
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=length,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
    )
    model = Qwen2ForCausalLM(config)
    _prefer_ends(model, tokenizer)
    model.generation_config.eos_token_id = config.eos_token_id
    model.generation_config.pad_token_id = config.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _prefer_ends(model: Any, tokenizer: Any) -> None:
    """Give tokens that end something a higher logit, and unseen ones a lower, whatever was read.

    One direction of the hidden state is the same for every token; only those point along it.
    """
    import torch

    vocabulary: dict[str, int] = tokenizer.get_vocab()
    marks = {token: number for token, number in vocabulary.items() if set(token) <= set('"}],')}
    quotes = [number for token, number in marks.items() if token.startswith('"')]
    texts = {number: tokenizer.decode([number]) for number in vocabulary.values()}
    blanks = [n for n, text in texts.items() if not text.strip() or not text.isprintable()]
    with torch.no_grad():
        model.model.embed_tokens.weight[:, 0] = 0.06
        model.lm_head.weight[:, 0] = 0.0
        model.lm_head.weight[blanks, 0] = -ENDS
        # Within a string a bracket ends nothing, so the quote goes before it.
        model.lm_head.weight[list(marks.values()), 0] = ENDS / 2
        model.lm_head.weight[[*quotes, tokenizer.eos_token_id], 0] = ENDS
        model.lm_head.weight *= SHARPNESS


def _texts() -> list[str]:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        rows = [row["text"] for row in csv.DictReader(file)]
    # JSON is what most answers are, so its marks get tokens of their own.
    return [*rows, *(f'{{"label": "{row[:20]}", "reason": "{row}"}}' for row in rows)]


def _tokenizer(texts: Sequence[str], length: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bare,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
        model_max_length=length,
        clean_up_tokenization_spaces=False,
    )


if __name__ == "__main__":
    print(make_model(Path(sys.argv[1])))
