"""`brain selftest`: one known clip through ears, mind and mouth, against what ought to come of it.

`clip.wav` is espeak-ng's (voice en-us+f5), 16 kHz mono with 0.15 s of silence around it: a voice
that the pocket ears were not trained on, made by tools/demo/record_questions.py.
"""
