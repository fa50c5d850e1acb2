"""How good labels are, and who should give the next ones: arrays in, decisions out."""
