"""What `%load_ext nbcache` loads: each module is waited for in every notebook, used or not."""

import subprocess
import sys
from pathlib import Path

_LISTED = Path(__file__).with_name("loaded_modules.txt")
_PROGRAM = """
import sys
from IPython.core.interactiveshell import InteractiveShell
from langchain_core.language_models import BaseChatModel, BaseLLM

shell = InteractiveShell.instance()
shell.run_cell("pass").raise_error()
before = set(sys.modules)
shell.run_cell("%load_ext nbcache").raise_error()
shell.run_cell("pass").raise_error()
new = {name for name in sys.modules.keys() - before if name.partition(".")[0] not in sys.stdlib_module_names}
print(*sorted(new), sep="\\n")
"""


def test_load_ext_loads_these_modules_and_no_others(tmp_path: Path) -> None:
    """Beyond IPython and langchain-core, with the hooks of a cell that calls no model.

    A module that isn't needed before the first call belongs into the function that uses it. If it is needed:

        python -m tests.ui.jupyter.test_load_ext > tests/ui/jupyter/loaded_modules.txt
    """
    assert _loaded(tmp_path) == _LISTED.read_text(encoding="utf-8").splitlines()


def _loaded(folder: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, cwd=folder)
    return done.stdout.splitlines()


if __name__ == "__main__":
    print(*_loaded(Path.cwd()), sep="\n")
