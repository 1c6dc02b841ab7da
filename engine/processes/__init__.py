"""Processes: forked, watched, ended, and cleaned up after."""
