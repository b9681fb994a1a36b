"""Environments for reinforcement learning, with what is known of them exactly (extra `rl`)."""
