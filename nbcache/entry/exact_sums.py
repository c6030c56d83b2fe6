"""How US dollars are added and divided."""

from decimal import Context

EXACT = Context(prec=60)  # a notebook may have set its own context to a few digits
