"""The SDK with `await`, written by hand. `opendify._sync` is made from it by `scripts/unasync.py`."""
