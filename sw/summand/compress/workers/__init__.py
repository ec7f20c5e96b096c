"""Run independent jobs on threads, processes or a cluster."""
