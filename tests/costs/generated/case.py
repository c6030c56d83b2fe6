"""A generated answer, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.costs.generated.bill import Bill
from tests.servers.canned import Reply


@dataclass(frozen=True)
class Case:
    """`client` is called for `model`, streamed or not, and gets this reply; `bill` is what its provider charges.

    `unclear` says why what the client passes on doesn't tell the price: then no figure is right, too.
    """

    client: str
    model: str
    stream: bool
    reply: Reply
    bill: Bill
    prompt: Any = "hi"
    options: Mapping[str, Any] = field(default_factory=dict)
    unclear: str = ""
