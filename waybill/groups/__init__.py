"""The client's methods, a module for each resource."""
