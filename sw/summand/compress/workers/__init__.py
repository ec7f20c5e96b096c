"""Who does jobs that do not depend on each other."""
