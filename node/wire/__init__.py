"""The wire protocol: one schema, and everything that follows from it. Imports nothing else of Waystation.

waystation.cddl  the contract: every frame of either side (CDDL, RFC 8610)
verbs            the verbs and the small enumerations, as plain integers
limits           every size and range that both sides rely on
errors           the registry of error codes, and `WireError`
negotiation      which version and which features two sides share
login            the bytes that a device signs to log in
codec            bytes to checked frames, and frames to bytes
"""
