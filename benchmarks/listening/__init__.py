"""What listening costs a brain, and what its socket adds to a turn."""
