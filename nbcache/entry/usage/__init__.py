"""What a call used, as its provider reports it. What that costs by a list of prices is in `costs/price_lookup.py`.

`usage_of_call.py` puts it together from the tokens (`reported_tokens.py`), the charge (`reported_charges.py`) and the metadata
(`reported_metadata.py`) that a provider reports. `estimates.py` estimates tokens that are not reported. `priced_request.py`,
`billed_tools.py` and `vendors.py` say what else a price depends on.
"""
