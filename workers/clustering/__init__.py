"""What an execution of a cluster computes, from vectors to a picture. No store is spoken to."""
