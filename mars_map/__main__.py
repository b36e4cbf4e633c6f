"""`python -m mars_map`: the same as `mars-map`."""

from mars_map.cli import main

main()
