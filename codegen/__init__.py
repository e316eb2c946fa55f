"""Code from the contract. Imported only when a development command runs."""
