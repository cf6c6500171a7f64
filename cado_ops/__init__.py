"""Tag instances and grant keys for Cado's forensic acquisition on AWS, and take it all back."""

__version__ = "0.1.0"
