"""Calls that missed: those that wait for their answers, the last ones, and why."""
