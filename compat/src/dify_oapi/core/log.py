"""The logger: to the standard output, as it always was. It is told no key, no header, no body, no query."""

import logging
import sys

logger = logging.getLogger("Dify")
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(logging.Formatter("[Dify] [%(asctime)s] [%(levelname)s] %(message)s"))
logger.addHandler(handler)
logger.setLevel(logging.WARNING)
