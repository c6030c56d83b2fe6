"""What is about threads, processes and event loops, and not about models: locks, steps, flights."""
