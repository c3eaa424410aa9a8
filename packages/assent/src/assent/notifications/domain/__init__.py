"""Notifications: who hears of which events, where, in which words, and when it is tried again."""
