"""Migrations: a namespace copied, extended or extracted anew, in stages, shown in one step."""
