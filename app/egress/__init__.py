"""The way out: connections to servers that somebody else named, and to no other."""
