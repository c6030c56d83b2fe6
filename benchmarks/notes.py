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
- Updates are measured last; each round adds new entries, looked up just before, as LangChain does. All stores of
  nbcache have their search index filled by then. What a call leaves for later (its price and sums, recency, the words
  of its answer) is done between the timed parts, where its thread would do it within a second, in another's time.
- LangChain's deprecation warnings, which SQLiteCache causes on every hit, are silenced: printing them would add to
  its times.
- `llm.invoke`: a real `ChatOpenAI`. The first calls are paid to a server on loopback, which counts requests; a timed
  call that reached it would end the bench. nbcache is installed and uninstalled between the batches.
- A new process: from before any import to the first answer of `llm.invoke`, importing langchain-openai included.
- Processes: each writes its own entries, and looks up one of another's after every update; then each reads all and
  compares. Errors are exceptions, and warnings of nbcache. SQLiteCache makes fewer updates: it takes too long.
- Bytes: all files of nbcache's folder, and SQLiteCache's file, after closing. The bench looks that every row has its
  previews, that entries can be read, and that they are found by their words.
- A hit in the ledger: the ledger alone, with 1,000 hits of different entries a round. Accounting works out what hits
  saved, writing down brings recency and sums into the store; both run after the cell or a second later.
- Pages and searches: {shelf:,} entries of several models, tags, notebooks and statuses. A time is that of the whole
  request as the panel makes it, which counts all that the filter means too. Of a page the table has the slowest of
  three places: the first page, the middle and the last. A search is for beginnings of words, the newest entry first.
- What a panel sends: counted at its comm in this process, where no kernel and no browser are. What stands for the page
  asks for the entries at most once a second, as the browser's side does, and gets them while the cell runs; a kernel
  would answer after it. The second cell takes its time, so that it is seen what a long one sends.
- First paint: a real JupyterLab and Chromium on this machine; a notebook that has run `nbcache.install` and imported
  the panel runs one cell with `nbcache.panel()`. It ends at the task after the frame in which the table has its rows.
  The bytes are all that comes over the kernel's socket for that cell, before any compression. The script is in there
  once for each panel; it is counted apart.
"""
