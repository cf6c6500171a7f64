"""``python -m cado_ops``"""

from cado_ops.cli.app import entry_point

if __name__ == "__main__":
    entry_point()
