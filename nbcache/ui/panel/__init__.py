"""The panel: a widget that shows the cache live.

`widget.py` is the widget, and `browser/` the part of it that runs in the browser. `board.py` has the numbers, entries and
replies that it shows; `page_requests.py` reads what the page asks for, and `entry_actions.py` does to entries what it asks to
do. `entry_view.py` is an entry as it is shown, `transcript.py` a call as the messages of a chat, and `entry_links.py` leads from
one entry to others.
"""
