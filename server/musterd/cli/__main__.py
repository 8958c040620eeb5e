"""Runs the command line as `python -m musterd.cli`: so workers are started, with the same Python."""

from musterd.cli import main

main()
