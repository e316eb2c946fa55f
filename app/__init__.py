"""The runtime: one HTTP edge around the contract, settings, telemetry and the command line."""

__version__ = "0.1.0"
