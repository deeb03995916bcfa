"""Promotion: a candidate beside the champion on what users took after both were trained; evidence first, then the rule."""
