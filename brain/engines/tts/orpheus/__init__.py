"""Orpheus: a language model that writes sound in tokens, and the SNAC decoder that reads them."""
