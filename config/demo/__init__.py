"""The demo: its page, its one-click sign-in and its fault panel. Not part of the product; off unless DEMO is set."""
