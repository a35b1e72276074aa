"""Passes over graphs: one file a pass, graph in, graph out."""
