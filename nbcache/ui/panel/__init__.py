"""The panel: a widget that shows the cache live."""
