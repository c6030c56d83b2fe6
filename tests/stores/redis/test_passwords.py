"""A password is in no output of a notebook, whatever the user asks for and whatever fails."""

from typing import Any

import pytest

from tests.servers.redis_server import RedisServer, free_port, program

CELLS = [
    "%load_ext nbcache",
    "%llmcache on --store {url}",
    "import pickle, nbcache\nfrom langchain_core.language_models import FakeListChatModel\n"
    "model = FakeListChatModel(responses=['yes'])\n[model.invoke('q').content for _ in range(2)]",
    "%llmcache where",
    "%llmcache stats",
    "%llmcache",
    "%llmcache ls",
    "store = nbcache.installed().store\nstore, store.url, store.server.address, store.server.calls, vars(store.server)",
    "pickle.dumps(store)",
    "nbcache.installed(), nbcache.stats(), nbcache.entries()",
    "%llmcache on --store redis://:{password}@127.0.0.1",
    "%config NBCache.store = 'redis://:{password}@127.0.0.1'",
    "%llmcache on --store redis://127.0.0.1:{nobody}",
    "model.invoke('unheard')",
    "store.get('0' * 40)\nnbcache.installed().store.get('0' * 40)",
]


def test_a_notebook_has_no_password_in_its_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    password = "hunter2-hunter2"
    monkeypatch.setenv("NBCACHE_REDIS_PASSWORD", password)
    with RedisServer(program(), "--requirepass", password, tcp=True) as server:
        names = {"url": server.url(), "password": password, "nobody": free_port()}
        sources = [cell.format(**names) if "{" in cell else cell for cell in CELLS]
        make: Any = nbformat.v4
        notebook = make.new_notebook(cells=[make.new_code_cell(source) for source in sources])
        NotebookClient(notebook, timeout=120, allow_errors=True, kernel_name="python3").execute()
    outputs = [str(cell.outputs) for cell in notebook.cells]
    assert "'yes', 'yes'" in outputs[2]
    assert server.url() in outputs[3]
    assert "NBCACHE_REDIS_PASSWORD" in outputs[10]
    assert [source for source, output in zip(sources, outputs, strict=True) if password in output] == []
