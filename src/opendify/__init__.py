"""Every Dify operation from Python, sync and async."""
