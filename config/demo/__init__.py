"""The demo: its page, the sign-in with one click, and the fault panel. Not part of the product, and off without DEMO."""
