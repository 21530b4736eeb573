"""NomaAllocation's policies: adapters between observations and the matching algorithms."""
