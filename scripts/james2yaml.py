#!/usr/bin/env python3
"""James's XML configuration into mxring's YAML; see --help and docs/MIGRATION.md."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from jamesconf.cli import main  # noqa: E402 - the path comes first

if __name__ == "__main__":
    sys.exit(main())
