"""The models of the bench: ChatOpenAI as a user sets it up, with answers that cost nothing, and a class of a user's own."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any
from zlib import crc32

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI

from .replies import generation, message_id, reply

MODEL = "gpt-4o-mini"
NOWHERE = "http://127.0.0.1:9/v1"
_LETTERS = 5  # of a chunk


def chat_model(base_url: str | None = None) -> ChatOpenAI:
    """A real client with ten options. Its key is nobody's: a request that left this machine would be refused."""
    os.environ["OPENAI_API_KEY"] = "sk-bench"
    options: dict[str, Any] = {
        "model": MODEL,
        "temperature": 0.2,
        "top_p": 0.9,
        "max_completion_tokens": 1_000,
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.1,
        "timeout": 60,
        "max_retries": 0,
        "base_url": base_url or NOWHERE,
    }
    return ChatOpenAI(**options)


class OwnModel(BaseChatModel):
    """A user's own class, which can't be asked what it would send."""

    model: str = "own"

    @property
    def _llm_type(self) -> str:
        return "own"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model}

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError


class Answers:
    """Stands for the provider: answers at once, and counts how often it is asked."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts
        self._chunks: dict[str, list[list[ChatGenerationChunk]]] = {}
        self.calls = 0

    def text(self, question: str) -> str:
        """The answer to this question: always the same."""
        return self._texts[crc32(question.encode()) % len(self._texts)]

    def result(self, question: str) -> ChatResult:
        """What langchain-openai makes of a reply."""
        number = crc32(question.encode())
        text = self._texts[number % len(self._texts)]
        return ChatResult(generations=[generation(text, reply(number, text), message_id(number))])

    def prepare(self, question: str) -> None:
        """Make the chunks of a stream beforehand, so that streaming them costs LangChain's own work only."""
        self._chunks.setdefault(question, []).append(list(self._made(question)))

    def chunks(self, question: str) -> list[ChatGenerationChunk]:
        """The chunks of a stream."""
        ready = self._chunks.get(question)
        return ready.pop() if ready else list(self._made(question))

    def _made(self, question: str) -> Iterator[ChatGenerationChunk]:
        text, provider = self.text(question), {"model_provider": "openai"}
        for start in range(0, len(text), _LETTERS):
            piece = AIMessageChunk(content=text[start : start + _LETTERS], response_metadata=dict(provider))
            yield ChatGenerationChunk(message=piece)
        end = {"finish_reason": "stop", "model_name": MODEL, "system_fingerprint": "fp_0ba0d124f1"}
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="", response_metadata=provider | end), generation_info=end
        )
        tokens = len(text) // 4
        usage = {"input_tokens": 500, "output_tokens": tokens, "total_tokens": 500 + tokens}
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage, chunk_position="last"))

    def give_to(self, cls: Any) -> None:
        """Answer for all models of this class, in place of its requests."""
        answers = self

        def _generate(model: Any, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
            answers.calls += 1
            return answers.result(str(messages[-1].content))

        async def _agenerate(model: Any, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
            question = str(messages[-1].content)
            answers.calls += 1
            await asyncio.sleep(0.5 + crc32(question.encode()) % 500 / 1000)
            return answers.result(question)

        def _stream(
            model: Any, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
        ) -> Iterator[ChatGenerationChunk]:
            answers.calls += 1
            for chunk in answers.chunks(str(messages[-1].content)):
                if run_manager:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

        async def _astream(
            model: Any, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
        ) -> AsyncIterator[ChatGenerationChunk]:
            answers.calls += 1
            for chunk in answers.chunks(str(messages[-1].content)):
                if run_manager:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

        for method in (_generate, _agenerate, _stream, _astream):
            setattr(cls, method.__name__, method)
