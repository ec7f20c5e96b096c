"""What is sent to an engine to try it: random programs, commands that it refuses, random data."""
