"""LangChain's classes of messages and generations, by their names."""

import langchain_core.messages as lc_messages
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

# The only classes of which objects are made when a stored answer or a prompt is read.
MESSAGES: dict[str, type[BaseMessage]] = {
    name: getattr(lc_messages, name)
    for kind in ("AI", "Human", "System", "Chat", "Function", "Tool")
    for name in (f"{kind}Message", f"{kind}MessageChunk")
}
GENERATIONS: dict[str, type[Generation]] = {
    cls.__name__: cls for cls in (Generation, GenerationChunk, ChatGeneration, ChatGenerationChunk)
}
