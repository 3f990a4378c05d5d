"""An event's way: publish, store, queue, routing, dispatch, then delivered, retried or dead."""
