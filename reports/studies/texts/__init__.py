"""How good audits of texts are."""
