"""The models that a profile wants: what they are, where they lie, how they get there.

Knows nothing of the rest of the house: whoever asks says which folder and which token.
"""
