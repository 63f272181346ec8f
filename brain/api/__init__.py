"""The wire protocols, one a file: they translate between the wire and the dialogue, no more."""
