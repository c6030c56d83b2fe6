"""Secrets in what others will read."""
