"""A hotel's front desk to try a partner server at: pages that play the hotel's screen, and call it as Mews does.

It is a client. It talks HTTP to any partner server, and knows the contract and nothing else of ours.
"""
