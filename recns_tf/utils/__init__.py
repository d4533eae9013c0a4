"""Files, threads, Markdown and messages; nothing about recommendation."""
