"""LangChain caches of the kinds that there are: one that keeps texts only, one that fails, one that returns what is similar."""

import hashlib
from pathlib import Path
from typing import Any

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.outputs import Generation


class TextFiles(BaseCache):
    """Keeps the first text of an answer in a file, and loses all else. Its `clear` would delete what others have, too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        file = self.file(prompt, llm_string)
        return [Generation(text=file.read_text())] if file.exists() else None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        self.folder.mkdir(exist_ok=True)
        self.file(prompt, llm_string).write_text(return_val[0].text)

    def clear(self, **kwargs: Any) -> None:
        raise AssertionError("somebody has called clear")

    def file(self, prompt: str, llm_string: str) -> Path:
        return self.folder / hashlib.sha256(f"{prompt}\0{llm_string}".encode()).hexdigest()


class Answering(BaseCache):
    """Returns this for every lookup, as a semantic cache that finds everything similar. It raises what is an error."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        found: RETURN_VAL_TYPE | None = self.answer
        return found

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        if isinstance(self.answer, Exception):
            raise self.answer
        self.answer = return_val

    def clear(self, **kwargs: Any) -> None:
        raise AssertionError("somebody has called clear")
