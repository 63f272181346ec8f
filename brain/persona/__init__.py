"""Who the robot is: its character, its moods, and the notes that it is given about its own state."""
