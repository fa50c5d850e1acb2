"""What has weights: chat models, encoders, learners."""
