"""Helpers for files, threads, Markdown and messages, independent of recommendation."""
