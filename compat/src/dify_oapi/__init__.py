"""Dify for programs written for dify-oapi2: its names, over opendify."""
