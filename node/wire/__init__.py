"""The wire protocol: one schema, and everything that follows from it. Imports nothing else of Waystation.

waystation.cddl  the contract: every frame of either side (CDDL, RFC 8610)
verbs            the verbs and the small enumerations, as plain integers
limits           every size and range that both sides rely on
errors           the registry of error codes, and `WireError`
negotiation      which version and which features two sides share
login            the bytes that a device signs to log in
codec            bytes to checked frames, and frames to bytes
hot              faster encoders of the frames that a node sends for every message
generated        a checker and a reader of every frame, written by the compiler
primitives       what the generated code stands on
compiler         python -m node.wire.compiler: the schema to generated.py
cddl             CDDL's notation to the types of `schema`; what isn't supported is refused
schema           the types that a schema is made of: sizes, depths, choices that can be told apart
emit             what the two emitters share
emit_checkers    types to checkers of values
emit_readers     types to readers of bytes
"""
