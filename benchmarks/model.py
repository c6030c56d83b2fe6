"""The model of the bench, apart from the workload: a new process has to import no more than a user would."""

from langchain_openai import ChatOpenAI
from pydantic import SecretStr

MODEL, SNAPSHOT = "gpt-4o-mini", "gpt-4o-mini-2024-07-18"


def chat_model(base_url: str | None = None) -> ChatOpenAI:
    """A real client. Its key is nobody's: a request that left this machine would be refused."""
    return ChatOpenAI(model=MODEL, temperature=0, api_key=SecretStr("sk-bench"), base_url=base_url, max_retries=0)
