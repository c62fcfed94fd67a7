"""What a migration does to rows: pages, mapped ids, comparison."""
