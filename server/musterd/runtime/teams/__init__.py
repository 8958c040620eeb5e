"""How the server runs teams: the leader's run, and the turns of members that it leads to."""
