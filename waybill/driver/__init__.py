"""What runs flows over httpx: one driver that blocks, one for asyncio."""
