"""Calling tools, over models that only speak text: definitions in, calls out. Pure."""
