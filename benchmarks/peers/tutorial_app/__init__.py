"""The tutorial's app."""
