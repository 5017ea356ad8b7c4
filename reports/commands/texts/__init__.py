"""Audits of texts: of a file of transcripts, and of a server."""
