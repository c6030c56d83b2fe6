"""`nbcache …` in a terminal."""
