"""The query language of every list: declared fields, filters, sort orders, keyset cursors."""
