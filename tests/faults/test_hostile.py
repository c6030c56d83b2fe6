"""Calls that look alike and are not, secrets that must not be kept, and input that was planted."""

import asyncio
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, create_model

import nbcache
from nbcache import NbcacheWarning
from nbcache.cache.call import Call, current_call
from nbcache.codec.header import EntryHeader
from nbcache.codec.json_values import from_plain
from nbcache.codec.payload import encode
from nbcache.entry.records import EntryMeta
from nbcache.errors import NotStorableError
from nbcache.keys.key import call_key
from tests.servers.provider import Provider

SECRET = "TOPSECRET-4711"


class Echo(BaseChatModel):
    """Says which model it is and what it was asked, and counts."""

    model: str

    @property
    def _llm_type(self) -> str:
        return "echo"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model}

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        calls.append(self.model)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"{self.model}: {messages[-1].text}"))])


calls: list[str] = []


@pytest.fixture(autouse=True)
def installed(tmp_path: Path) -> Path:
    calls.clear()
    nbcache.install(tmp_path / "store")
    return tmp_path / "store"


def openai(provider: Provider, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", **provider.openai, **settings})


def test_fields_of_a_schema_in_another_order_are_another_call(provider: Provider) -> None:
    names = ("reasoning", "answer")
    for order in (names, names[::-1]):
        fields: dict[str, Any] = dict.fromkeys(order, (str | None, None))
        asked = create_model("Reply", **fields)
        provider.answer('{"reasoning": "r", "answer": "a"}')
        openai(provider).with_structured_output(asked, method="json_schema").invoke("q")
    assert len(provider.requests) == 2


class Picture:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return "<Picture at 0x7f00>"


def test_an_object_in_a_prompt_is_never_cached() -> None:
    model = Echo(model="m")
    with pytest.warns(NbcacheWarning, match="Picture"):
        model.invoke([HumanMessage([{"type": "image", "image": Picture("one")}])])
    model.invoke([HumanMessage([{"type": "image", "image": Picture("two")}])])
    assert len(calls) == 2
    assert nbcache.stats().entries == 0


def test_a_tools_artifact_is_never_sent_and_does_not_split_the_key() -> None:
    model = Echo(model="m")
    for name in ("one", "two"):
        model.invoke([ToolMessage("result", tool_call_id="1", artifact=Picture(name))])
    assert len(calls) == 1


class OwnGenerate(Echo):
    """Comes in below LangChain's public entry points."""

    def generate(self, messages: Any, stop: Any = None, callbacks: Any = None, **kwargs: Any) -> LLMResult:
        return LLMResult(generations=[self._generate_with_cache(m, stop=stop).generations for m in messages])


class Committee(Echo):
    """A model that asks others of its kind."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        said = " | ".join(OwnGenerate(model=name).invoke(messages).text for name in ("fast", "smart"))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(said))])


def test_a_model_with_a_generate_of_its_own_is_known_as_itself() -> None:
    assert [OwnGenerate(model=name).invoke("q").text for name in "abab"] == ["a: q", "b: q", "a: q", "b: q"]
    assert calls == ["a", "b"]


def test_models_within_a_model_are_told_apart() -> None:
    assert Committee(model="c").invoke("q").text == "fast: q | smart: q"


def test_a_model_that_asks_itself_otherwise_is_another_call() -> None:
    class Refining(Echo):
        def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
            if kwargs.get("depth", 0) < 2:
                inner = self.invoke(messages, depth=kwargs.get("depth", 0) + 1)
                return ChatResult(generations=[ChatGeneration(message=AIMessage(f"({inner.text})"))])
            return super()._generate(messages)

    for _ in range(2):
        assert Refining(model="m").invoke("q").text == "((m: q))"


def test_a_class_counts_by_the_helpers_and_constants_that_it_uses() -> None:
    cell = """
from langchain_core.language_models.llms import LLM
STYLE = {style!r}
def decorate(text): return STYLE + text
def make(mark):
    class Defined(LLM):
        style: str = "s"
        @property
        def _llm_type(self): return "mine"
        @property
        def _identifying_params(self): return {{"style": self.style}}
        def _call(self, prompt, stop=None, run_manager=None, **kwargs): return decorate(prompt) + mark
    return Defined
Defined = make({mark!r})
"""

    def answer(**edited: str) -> str:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(cell.format(**edited), namespace)
        return str(namespace["Defined"]().invoke("q"))

    assert answer(style="- ", mark="!") == "- q!"
    assert answer(style="* ", mark="!") == "* q!"
    assert answer(style="* ", mark="?") == "* q?"


def test_classes_of_one_name_in_two_modules_are_two_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("one_module", "two_module"):
        (tmp_path / f"{name}.py").write_text(
            "from langchain_core.language_models.llms import LLM\n"
            "class Mine(LLM):\n    style: str\n    @property\n    def _llm_type(self): return 'mine'\n"
            f"    def _call(self, prompt, *args, **kwargs): return '{name}'\n"
        )
    import one_module  # type: ignore[import-not-found]
    import two_module  # type: ignore[import-not-found]

    assert [module.Mine(style="s").invoke("q") for module in (one_module, two_module)] == ["one_module", "two_module"]


def test_a_client_that_is_led_elsewhere_is_another_endpoint(provider: Provider) -> None:
    with Provider() as other:
        model = openai(provider)
        model.invoke("q")
        asyncio.run(model.ainvoke("q"))
        model.root_async_client.base_url = f"{other.url}/v1"
        asyncio.run(model.ainvoke("q"))
        rerouted = openai(provider)
        rerouted.client = rerouted.root_client.with_options(default_headers={"X-Route": "b"}).chat.completions
        rerouted.invoke("q")
        assert (len(provider.requests), len(other.requests)) == (2, 1)


def test_stop_words_are_not_letters(provider: Provider) -> None:
    asked = openai(provider)
    asked.invoke("q", stop=["a", "b"])
    asked.invoke("q", stop="ab")  # type: ignore[arg-type]  # the API takes it
    assert len(provider.requests) == 2


def test_numbers_that_json_has_not_are_told_apart() -> None:
    keys = {
        call_key("q", "x", Call(Echo(model="m"), options={"threshold": value})).key
        for value in (float("inf"), float("-inf"), float("nan"), None, 0.0)
    }
    assert len(keys) >= 4


@pytest.mark.parametrize(
    "options",
    [
        {"extra_body": {"api_key": SECRET}},
        {"tools": [{"type": "mcp", "headers": {"Authorization": f"Bearer {SECRET}"}}]},
        {"mcp_servers": [{"url": "https://x", "authorization_token": SECRET}]},
        {"extra_headers": {"X-Auth": SECRET}},
        {"connection": {"deep": [{"password": SECRET}]}},
    ],
    ids=str,
)
def test_no_credential_reaches_the_store(options: dict[str, Any], installed: Path) -> None:
    model = Echo(model="m")
    model.invoke("q", **options)
    assert nbcache.stats().entries == 1
    assert SECRET not in str(nbcache.show(nbcache.entries().key[0]).identity)
    nbcache.uninstall()
    assert not any(SECRET.encode() in path.read_bytes() for path in installed.iterdir() if path.is_file())


def test_a_credential_in_an_endpoints_address_is_not_kept(installed: Path) -> None:
    model = ChatOllama(model="m", base_url=f"http://user:{SECRET}@127.0.0.1:1/?key={SECRET}")
    assert SECRET not in repr(call_key("q", "x", Call(model)))


def test_a_planted_object_of_langchains_is_not_made(provider: Provider) -> None:
    """To make a client can be to call a server."""
    planted = {
        "module": "langchain_ollama.chat_models",
        "name": "ChatOllama",
        "schema": "0" * 16,
        "data": {"model": "m", "base_url": provider.url, "validate_model_on_init": True},
    }
    from nbcache.keys.canonical import canonical, digest

    planted["schema"] = digest(canonical(ChatOllama))
    with pytest.raises(nbcache.NbcacheError, match="not here"):
        from_plain({"!model": planted})
    assert provider.requests == []


def test_another_users_folder_beside_the_notebook_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    (tmp_path / ".nbcache").mkdir()
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.warns(NbcacheWarning, match="isn't yours"):
        cache = nbcache.install()
    assert cache.store.url.endswith("/cache/nbcache/store")


def test_an_answer_that_comes_while_the_interpreter_ends_is_not_lost(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys, threading
import nbcache
from langchain_core.language_models import FakeListChatModel
nbcache.install({str(tmp_path / "s")!r})
class Slow(FakeListChatModel):
    async def _agenerate(self, *args, **kwargs):
        main.join()
        return self._generate(*args, **kwargs)
main = threading.main_thread()
def ask():
    print(asyncio.run(Slow(responses=["said"]).ainvoke("q")).text, flush=True)
threading.Thread(target=ask).start()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "said\n", done.stderr


def test_an_object_whose_validator_fails_is_a_miss(installed: Path) -> None:
    class Picky(BaseModel):
        name: str

    cache = nbcache.install("memory://")
    call = Call(Echo(model="m"), options={"response_format": Picky})
    token = current_call.set(call)
    try:
        said = AIMessage("x", additional_kwargs={"parsed": Picky(name="a")})
        cache.update("q", "[('_type', 'echo'), ('model', 'm')]", [ChatGeneration(message=said)])
        assert cache.lookup("q", "[('_type', 'echo'), ('model', 'm')]")

        def explode(*args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("no")

        Picky.model_validate_json = explode  # type: ignore[method-assign]
        with pytest.warns(NbcacheWarning, match="could not"):
            assert cache.lookup("q", "[('_type', 'echo'), ('model', 'm')]") is None
    finally:
        current_call.reset(token)


def test_an_entry_under_another_key_is_damage_and_no_answer(installed: Path) -> None:
    cache = nbcache.install(installed)
    meta = EntryMeta("a" * 40, "m", "p", "a", "ok", 1.0)
    payload = encode([ChatGeneration(message=AIMessage("evil"))], EntryHeader(meta, "q", "{}", ""), reusable=True)
    key = nbcache.cache_key("q", "some model")
    cache.store.put(key, payload, meta.__class__(key, "m", "p", "a", "ok", 1.0))
    with pytest.warns(NbcacheWarning, match="damaged"):
        assert cache.lookup("q", "some model") is None


def test_a_class_s_name_in_an_answer_runs_nothing_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    class Client:
        @property
        def boom(self) -> None:
            ran.append("property")

    module: Any = types.ModuleType("planted")
    module.client = Client()
    module.__getattr__ = ran.append
    monkeypatch.setitem(sys.modules, "planted", module)
    for name in ("client.boom", "lazy"):
        with pytest.raises(NotStorableError):
            from_plain({"!model": {"module": "planted", "name": name, "schema": "", "data": {}}})
    assert ran == []
