"""``python -m cado_ops``"""

import sys

if __name__ == "__main__":
    # Python puts the current folder before everything else, unless it was told not to (-P): with evidence in it,
    # a typer.py there would be run. So that folder goes before anything is imported that is not loaded yet.
    if not sys.flags.safe_path:
        del sys.path[0]

    from cado_ops.cli.app import entry_point

    entry_point()
