"""Who decides: goal → task spec, observation, policy, approval."""
