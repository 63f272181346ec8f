"""/plan: a robot's world state in, a few bounded actions out."""
