"""`python -m opendify.cli` is `opendify`."""

from opendify.cli import main

if (
    __name__ == "__main__"
):  # a worker process imports this module under another name, and must not start a gateway
    main()
