"""One table of commands, for every front end."""
