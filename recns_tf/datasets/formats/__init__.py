"""Readers and writers of log and graph files."""
