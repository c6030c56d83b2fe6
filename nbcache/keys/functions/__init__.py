"""Which call of which function this is: the identity of a call of the user's own function.

`function_key.py` makes it, of the function's code, of its arguments bound to parameters (`parameters.py`), and of the data
that the code uses, and writes the call as people read it (`call_text.py`). `tool_key.py` does so for a tool of LangChain's, and
`tool_code.py` says what a tool runs.

`values.py` writes the canonical form of a value: `plain_kinds.py` has those of Python's own kinds, `objects.py` those of
objects, functions and types, `arrays.py` and `frames.py` those of numpy's and pandas' values, and
`langchain_values.py` those of LangChain's models and messages.

`code_walk.py` goes through the code and all that it uses, with the rules of `code_nodes.py` for functions and modules, of
`class_members.py` for classes, of `library_functions.py` for what libraries' decorators make, and of `late_imports.py` for modules
that a function imports while it runs. `run_state.py` knows what reads the run that a call is in: such code has no key.
`compiled_code.py` says what of compiled code counts, `libraries.py` which release of a library a module belongs to, and
`module_names.py` what a module is called. `class_identity.py` makes the digest by which a class is recognised.
"""

from typing import TYPE_CHECKING

from nbcache import handed_on

if TYPE_CHECKING:
    from nbcache.keys.functions.class_identity import class_digest
    from nbcache.keys.functions.function_key import FunctionCall, FunctionKey, FunctionRules
    from nbcache.keys.functions.tool_key import ToolKey

__all__ = ["FunctionCall", "FunctionKey", "FunctionRules", "ToolKey", "class_digest"]
__getattr__ = handed_on(
    "nbcache.keys.functions",
    {
        "class_digest": "class_identity",
        "ToolKey": "tool_key",
        **dict.fromkeys(("FunctionCall", "FunctionKey", "FunctionRules"), "function_key"),
    },
)
