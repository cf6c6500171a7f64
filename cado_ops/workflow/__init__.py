"""The five steps of everything that changes AWS: observe, plan, confirm, apply, report."""
