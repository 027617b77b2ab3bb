"""asv's benchmarks over everything that is registered.

    harness machine --asv                          once: the name under which asv stores this machine's results
    asv run                                        builds and installs the tip of each branch with its extras, and measures it
    asv run -E existing --set-commit-hash HEAD     measures what is installed here; without the hash asv stores nothing
    asv show HEAD; asv compare HEAD~1 HEAD; asv publish
    harness judge --history                        the verdict: asv has none
"""
