"""What a call used, as its provider reports it. What that costs by a list of prices is in `costs/pricing.py`.

`reported_usage.py` puts it together from the tokens (`token_counts.py`), the charge (`charges.py`) and the metadata
(`reported_metadata.py`) that a provider reports. `estimates.py` estimates tokens that are not reported. `priced_request.py`,
`fees.py` and `vendors.py` say what else a price depends on.
"""
