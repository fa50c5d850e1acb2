"""Chat models behind one gateway: cached, counted, held to a budget."""
