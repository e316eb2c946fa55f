"""The certification kit: plays Mews against any partner server, over HTTP alone, and judges it by the contract."""
