"""The command line: `opendify serve`, `check`, `models`, `chat`, `simulate`, `version`."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that this process was started with. A user's mistake ends in one sentence, code 2."""
    try:
        from opendify.cli.commands import run

        run()
    except KeyboardInterrupt:  # before a command has its own way to end
        sys.exit(130)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("opendify"):
            raise
        sys.exit(f"This command needs {error.name}, which is not installed: pip install 'opendify[gateway]'")
