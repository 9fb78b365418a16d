"""The one loop over network weights, what it trains, and what it keeps."""
