"""Gateways to AWS: the only room that imports boto3 and botocore.

Each call names the account and region it is for; no gateway holds an account.
"""
