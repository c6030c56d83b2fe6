"""JupyterLab and Notebook 7 in a headless Chromium: a server, and a notebook that is open in a page."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any, Self

import nbformat
from playwright.sync_api import Locator, Page, expect

PATIENCE = 20  # seconds

# In Lab an error of one of these would be the machine's, not ours.
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

_LAB_SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},  # a cell out of sight is there too
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True},  # what the widget knows goes into the file
}

_SERVER_OPTIONS = (
    "--no-browser",
    "--ip=127.0.0.1",
    "--port=0",
    "--LanguageServerManager.autodetect=False",
    "--LabApp.news_url=None",
    "--LabApp.expose_app_in_browser=True",
    "--JupyterNotebookApp.expose_app_in_browser=True",
    "--allow-root",
)

_USERS_OWN = ("NBCACHE_", "OPENAI_", "LANGCHAIN_", "LANGSMITH_")

# What runs in the page; `jupyterapp` is there because the app is exposed.
_WIDGET = "jupyterapp.shell.currentWidget"
_KERNEL = f"{_WIDGET}.sessionContext.session.kernel"
_READY = f"""async () => {{
  await {_WIDGET}.context.ready;
  await {_WIDGET}.sessionContext.ready;
  await {_KERNEL}.info;
}}"""
_EVALUATE = f"""async (expression) => {{
  const request = {{ code: "", silent: true, store_history: false, user_expressions: {{ value: expression }} }};
  const reply = await {_KERNEL}.requestExecute(request).done;
  const value = reply.content.user_expressions.value;
  return value.status === "ok" ? value.data["text/plain"] : `${{value.ename}}: ${{value.evalue}}`;
}}"""
_UNTIL = f"""async ([expression, wanted, seconds]) => {{
  const end = Date.now() + seconds * 1000;
  for (;;) {{
    const value = await ({_EVALUATE})(expression);
    if (value === wanted) return;
    if (Date.now() > end) throw new Error(`${{expression}} is ${{value}}, not ${{wanted}}`);
    await new Promise(requestAnimationFrame);
  }}
}}"""
# A UsageError is no output of the kind `error`, but the cells after it do not run.
_FAILURES = f"""() => [...{_WIDGET}.content.model.cells].map((cell) => cell.toJSON()).flatMap((cell) => [
  ...(cell.outputs ?? [])
    .filter((output) => output.output_type === "error")
    .map((output) => `${{output.ename}}: ${{output.evalue}}`),
  ...(cell.execution_count === null ? [`not run: ${{cell.source}}`] : []),
])"""


def chromium() -> str:
    """The browser: `NBCACHE_CHROMIUM`, else what is on the path. None is an error, not a reason to skip."""
    found = os.environ.get("NBCACHE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        raise RuntimeError("no Chromium: install it, or say in NBCACHE_CHROMIUM where it is")
    return found


class Server:
    """A Jupyter server with its settings, kernels and notebooks in one folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "notebooks"
        self._token = secrets.token_hex(16)
        self._log: list[str] = []
        self.root.mkdir()
        settings = folder / "config" / "labconfig" / "default_setting_overrides.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(_LAB_SETTINGS))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(_USERS_OWN)},
            "NO_PROXY": "127.0.0.1",
            "HOME": str(folder),
            "IPYTHONDIR": str(folder / "ipython"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTER_PLATFORM_DIRS": "1",
        }
        command = [sys.executable, "-m", "jupyterlab", *_SERVER_OPTIONS]
        command += [f"--IdentityProvider.token={self._token}", f"--ServerApp.root_dir={self.root}"]
        self._process = subprocess.Popen(
            command, env=environment, cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.url = self._announced()
        self._reader = threading.Thread(target=self._read_on, daemon=True)
        self._reader.start()

    def _announced(self) -> str:
        assert self._process.stderr
        for line in self._process.stderr:
            self._log.append(line)
            if found := re.search(r"(http://127\.0\.0\.1:\d+)/lab\b", line):
                return found[1]
        raise RuntimeError("Jupyter did not start:\n" + "".join(self._log[-40:]))

    def _read_on(self) -> None:
        assert self._process.stderr
        self._log.extend(self._process.stderr)

    def page_of(self, notebook: str, ui: str) -> str:
        place = {"lab": "doc/tree", "notebook": "notebooks"}[ui]
        return f"{self.url}/{place}/{notebook}?token={self._token}"

    def end_kernels(self) -> None:
        for session in self._api("sessions"):
            self._api(f"sessions/{session['id']}", "DELETE")

    def _api(self, path: str, method: str = "GET") -> Any:
        headers = {"Authorization": f"token {self._token}"}
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            body = response.read()
        return json.loads(body) if body else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()  # it ends its kernels too
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(PATIENCE)
        assert self._process.stderr
        self._process.stderr.close()


class Notebook:
    """A notebook that is open in a page, with all that the page complained of and asked of others."""

    def __init__(self, page: Page, server: Server, path: Path) -> None:
        self.page, self.path = page, path
        self.errors: list[str] = []
        self.external: list[str] = []
        self.frames: list[bytes] = []  # what came over the kernel's socket
        ours = (server.url, server.url.replace("http", "ws", 1), "data:", "blob:")
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        page.on("request", lambda asked: None if asked.url.startswith(ours) else self.external.append(asked.url))
        page.on("websocket", lambda socket: socket.on("framereceived", self._received))

    def _received(self, frame: bytes | str) -> None:
        self.frames.append(frame.encode() if isinstance(frame, str) else frame)

    def open(self, address: str) -> Self:
        self.page.goto(address)
        self.page.wait_for_function(f"window.jupyterapp && {_WIDGET} && {_WIDGET}.sessionContext")
        self.page.evaluate(_READY)
        self.errors.clear()  # Notebook 7 has some of its own while it loads
        return self

    def close(self) -> None:
        self.page.context.close()

    def fill(self, cells: tuple[str, ...]) -> None:
        """Put these cells in place of those that were there."""
        self.page.evaluate(f"(notebook) => {_WIDGET}.content.model.fromJSON(notebook)", _notebook(cells))

    def complaints(self) -> tuple[list[str], list[str]]:
        """The errors so far, and the addresses outside of the server; from here on they are forgotten."""
        errors, external = self.errors, self.external
        self.errors, self.external = [], []
        return errors, external

    @property
    def panel(self) -> Locator:
        """The panel of the last cell that shows one."""
        return self.page.locator("section.panel").last

    def run(self) -> Self:
        """Run all cells, and come back when they are done."""
        self.command("notebook:run-all-cells")
        failed = self.page.evaluate(_FAILURES)
        assert not failed, failed
        return self

    def begin(self) -> Self:
        """Begin to run all cells, and come back at once."""
        self.page.evaluate("() => void jupyterapp.commands.execute('notebook:run-all-cells')")
        return self

    def command(self, name: str) -> None:
        self.page.evaluate("(name) => jupyterapp.commands.execute(name)", name)

    def run_cell(self, index: int) -> None:
        """Run one cell once more."""
        self.page.evaluate(f"(index) => {{ {_WIDGET}.content.activeCellIndex = index }}", index)
        self.command("notebook:run-cell")

    def value(self, expression: str) -> str:
        """What a Python expression in the notebook's kernel is, as `repr` has it."""
        return str(self.page.evaluate(_EVALUATE, expression))

    def wait(self, expression: str, wanted: str) -> None:
        """Wait until a Python expression in the notebook's kernel has come to this."""
        self.page.evaluate(_UNTIL, [expression, wanted, PATIENCE])

    def restart(self) -> None:
        self.page.evaluate(f"() => {_KERNEL}.restart()")

    def save(self) -> str:
        """Save the notebook; its file's text."""
        self.page.evaluate(f"() => {_WIDGET}.context.save()")
        return self.path.read_text("utf-8")

    def dress(self, theme: str) -> None:
        self.page.evaluate("(theme) => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        self.page.wait_for_selector(f'body[data-jp-theme-name="{theme}"]', state="attached")

    def status(self, text: str | re.Pattern[str]) -> None:
        """Wait until the panel's status line says it."""
        expect(self.panel.locator(".status")).to_have_text(text)


def write_notebook(path: Path) -> None:
    path.write_text(json.dumps(_notebook(())), "utf-8")


def _notebook(cells: tuple[str, ...]) -> Any:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    new = nbformat.v4
    code = [new.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    return new.new_notebook(cells=code, metadata={"kernelspec": kernel})  # type: ignore[no-untyped-call]
