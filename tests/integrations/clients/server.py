"""The server that the scripts ask: it fails, or breaks a stream, where the question says whose turn it is."""

import json
from collections import Counter
from dataclasses import dataclass, field, replace

from tests.servers.provider import Answer, Provider, Request
from tests.servers.provider_asked import unscripted


@dataclass
class ClientsProvider(Provider):
    """As `Provider`. An "error" is answered by 400, the first attempt of a "retry" by 429; the first "cut stream" breaks."""

    turns: Counter[str] = field(default_factory=Counter)

    def _reply(self, request: Request) -> Answer | int:
        asked = json.dumps(request.body)
        if ": error]" in asked:
            return 400
        if ": retry]" in asked or ": cut stream]" in asked:
            question = f"{request.path} {asked}"
            self.turns[question] += 1
            if self.turns[question] == 1:
                return 429 if ": retry]" in asked else replace(unscripted(request), breaks=True)
        return unscripted(request)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the clients find it."""
        keys = ("OPENAI", "ANTHROPIC", "GEMINI", "MISTRAL", "GROQ", "CO")
        return {
            **{f"{name}_API_KEY": "sk-test" for name in keys},
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_BASE": f"{self.url}/v1",  # LlamaIndex reads this one
            "ANTHROPIC_BASE_URL": self.url,
            "GOOGLE_GEMINI_BASE_URL": self.url,
            "MISTRAL_URL": f"{self.url}/mistral",
            "GROQ_BASE_URL": self.url,
            "OLLAMA_HOST": self.url,
            "CO_API_URL": self.url,
        }
