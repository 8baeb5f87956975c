"""Permissions and roles, which rows a member may read, who may change which account, proof of identity.

May import the models of companies and shops. Every page of a merchant starts in `access.py`.
"""
