"""`python -m waybill`: the same as the `waybill` command."""

from waybill.command import main

main()
