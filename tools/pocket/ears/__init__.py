"""The pocket ears: a tiny Whisper, taught on espeak-ng's speech, heard through faster-whisper."""
