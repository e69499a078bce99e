"""A small real workflow engine that writes MeshHook's tables as its workers do, while things go wrong by a script."""
