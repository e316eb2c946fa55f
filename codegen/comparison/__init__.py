"""What changed between two OpenAPI 3.1 documents, judged for the server: Mews is the client, we answer.

Read in this order: `documents` (reading files, places in them), `findings` (what a difference is), `operations`,
`security` and `schemas` with `wrappers` (finding differences), `answers` (what our server sends), `judge` with
`formats` and `containment` (what a difference means), `marks` (what was inferred, and is now known).
`codegen.compare` puts them together.
"""
