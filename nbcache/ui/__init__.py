"""What a person meets: the only place that knows IPython."""
