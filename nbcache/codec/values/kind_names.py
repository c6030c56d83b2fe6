"""How the plain form of a value names the kind of a part."""

KIND = "#kind"
HASHED = frozenset({"set", "frozenset", "dict", "OrderedDict", "defaultdict", "Counter"})  # whose items are hashed
