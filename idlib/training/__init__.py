"""How is it trained? Settings, the one loop, and what keeps a run exact."""
