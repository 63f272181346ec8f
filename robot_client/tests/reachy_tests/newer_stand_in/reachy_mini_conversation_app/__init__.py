"""Stand-in of the newer conversation app; see the README beside this package."""
