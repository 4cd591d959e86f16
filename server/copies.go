package server

import "tarragon.dev/tarragon/proc"

// givenCopies are the base copies that the replica set's node gives.
func (s *Server) givenCopies() (out proc.GivenCopies) {
	hub := s.main().hub.Load()
	if hub == nil {
		return out
	}
	list, counts, places := hub.GivenCopies()
	out = proc.GivenCopies{Limit: places, Whole: counts.Whole, Broken: counts.Broken, Cancelled: counts.Cancelled, Refused: counts.Refused}
	for i := range list {
		c := &list[i]
		out.List = append(out.List, proc.GivenCopy{ID: c.ID, UUID: c.UUID, Name: c.Name, Address: c.Addr, Spaces: c.Spaces, Stage: string(c.Stage), Rows: c.Rows,
			Total: c.Total, Bytes: c.Bytes, Rate: c.Rate, For: c.For, Pins: c.Pins, Spooled: c.Spooled, Reason: c.Reason})
	}
	return out
}

// cancelCopies ends some of them, see replication.Hub.CancelCopies.
func (s *Server) cancelCopies(who string) int {
	if hub := s.main().hub.Load(); hub != nil {
		return hub.CancelCopies(who)
	}
	return 0
}
