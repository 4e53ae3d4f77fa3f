"""What the stages run: from one kind of file to the next, on coffea or on the events in memory."""
