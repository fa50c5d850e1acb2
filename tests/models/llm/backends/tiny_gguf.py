"""Writes a model of the tests as a GGUF file, the format of llama.cpp."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_gguf(model_folder: Path, file: Path) -> Path:
    """Write the Qwen2 in a folder, with its tokenizer and chat template, to a file."""
    import gguf
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(model_folder)
    model: Any = AutoModelForCausalLM.from_pretrained(model_folder)
    layers = model.config.num_hidden_layers
    writer = gguf.GGUFWriter(file, "qwen2")
    _add_shape(writer, model.config)
    _add_words(writer, tokenizer, model.config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, layers)
    for name, weights in model.state_dict().items():
        writer.add_tensor(names.get_name(name, (".weight", ".bias")), weights.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _add_shape(writer: Any, config: Any) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])


def _add_words(writer: Any, tokenizer: Any, config: Any) -> None:
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types(
        [3 if number in tokenizer.added_tokens_decoder else 1 for number in range(len(words))]
    )
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_pad_token_id(config.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)
