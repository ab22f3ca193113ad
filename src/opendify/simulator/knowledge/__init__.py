"""The knowledge base of a simulated Dify: what a dataset key opens, all in memory.

`workspace` has the datasets; `datasets`, `documents` and `segments` have what is in them, and how Dify shows
it. `reading`, `rules` and `splitting` turn a file into segments, `retrieval` finds them again, and `metadata`
names and filters documents.
"""
