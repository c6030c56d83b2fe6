"""What calls cost, against sums done apart from nbcache, for tens of thousands of generated answers."""
