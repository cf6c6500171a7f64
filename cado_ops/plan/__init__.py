"""Pure planners: what was observed and what is wanted, in; the changes, as plain data, out."""
