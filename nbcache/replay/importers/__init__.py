"""Other caches' files.

`langchain_sqlite.py` reads the file of LangChain's `SQLiteCache`; `langchain_models.py` recovers from it which model was
called.
"""
