"""The loyalty system: tables, named queries, use-cases and domain errors. Knows no HTTP."""
