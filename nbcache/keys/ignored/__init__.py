"""What can't change an answer, and so is no part of a key."""
