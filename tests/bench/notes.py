"""How it was measured: the last part of the page, with what was found while measuring."""

NOTES = """\
- Prompts and answers are English and code from the docstrings and functions of the standard library, all different:
  {answer:,.0f} bytes an answer and {prompt:,.0f} a prompt as LangChain passes it, on average. They come as `AIMessage`s
  with the usage and response metadata that langchain-openai makes of OpenAI's replies; before it measures, the bench
  compares one with what LangChain really passes to a cache. zlib brings the answers, one by one, to {deflated:.0%}.
- All contenders run in one process and in alternation, a batch of calls each, round after round, in a rotating order.
  A time is the median of the rounds (the best in brackets); a ratio is taken in each round, then the median of these.
  "Best rounds" is the ratio of the two best times: what is left when nothing else disturbs.
- Every answer is compared with what was stored, outside the timed part; one that is missing or wrong ends the bench.
- "{disk}" has no tier of decoded answers in memory: every hit is read from the file and decoded. "nbcache" is what a
  user gets; its first hit of a key is read from the file as well.
- Keys at random are drawn from the whole store, the same for all contenders of a round: at {large:,} entries hardly
  one is asked twice, and most of what it takes is fetching pages that no cache near the processor holds. The same
  keys again are what a cell that is run again asks.
- Bare diskcache gets and sets 2 kB of bytes under a ready key and decodes nothing: the floor for what is built on it.
- The stores were filled by `update` (diskcache: `set`); SQLiteCache's table in bulk, with the same rows, because one
  by one takes minutes. Filling {large:,} took: {filling}.
- SQLiteCache waits for the disk at every update: how long depends on the disk, and on who else writes to it.
- Updates are measured last; each round adds new entries, looked up just before, as LangChain does.
- LangChain's deprecation warnings, which SQLiteCache causes on every hit, are silenced: printing them would add to
  its times.
- `llm.invoke`: a real `ChatOpenAI`. The first calls are paid to a server on loopback, which counts requests; a timed
  call that reached it would end the bench. nbcache is installed and uninstalled between the batches.
- A new process: from before any import to the first answer of `llm.invoke`, importing langchain-openai included.
- Processes: each writes its own entries, and looks up one of another's after every update; then each reads all and
  compares. Errors are exceptions, and warnings of nbcache. SQLiteCache makes fewer updates: it takes too long.
- Bytes: all files of nbcache's folder, and SQLiteCache's file, after closing. The bench looks that every row has its
  previews, and that entries can be read.
"""
