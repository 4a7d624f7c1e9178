"""Proves that an archive holds each offset once: the ledger's chain, its objects, and what those say of themselves."""
