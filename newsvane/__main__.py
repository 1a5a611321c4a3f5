"""`python -m newsvane`: the command line, as `newsvane` starts it."""

from flows.cli.main import main

main()
