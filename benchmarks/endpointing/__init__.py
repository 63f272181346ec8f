"""When a turn ends: fixed against adaptive, on labelled utterances with pauses inside."""
