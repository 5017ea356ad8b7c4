"""How results are written: tables, text, Markdown, figures, pages."""
