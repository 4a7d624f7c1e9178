"""The servers: what they have in common (server, local, given) and what is particular to each product."""
