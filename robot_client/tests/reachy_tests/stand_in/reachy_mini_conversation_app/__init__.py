"""Stand-in of the conversation app; see the README beside this package."""
