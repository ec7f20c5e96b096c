"""The engine in SoCs of LiteX, which ``engine``, ``dma`` and ``integration`` need installed."""
