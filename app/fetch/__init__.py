"""Contents by URL: one small reader a scheme, and the choice between them."""
