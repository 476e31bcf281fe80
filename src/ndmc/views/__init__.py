"""Pictures and pages of what the other rooms know.

Takes results and gives files; nothing is computed here that a result would rest on.
"""

__all__ = ["charts", "diagram", "overview", "quality_map", "shares", "shifts"]
