"""Where a server's binaries come from: PATH, the cache, or a build into the cache."""
