"""PCM, resampling and framing: numpy in, numpy out."""
