"""`opendify kb`: a folder's files into a dataset of Dify, and what is in there."""
