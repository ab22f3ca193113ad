# Made from _async/__init__.py by scripts/unasync.py: edit that file, not this one.
"""The SDK without `await`, made from `opendify._async`."""
