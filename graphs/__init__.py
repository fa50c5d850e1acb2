"""How it runs: LangGraph state, nodes, edges."""
