"""Where the code that runs came from, and how to have it again."""
