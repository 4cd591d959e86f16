package proc

import "tarragon.dev/tarragon/instance"

// infoMandate is by whose word this instance leads, in a supervised replica set.
type infoMandate struct {
	Newest uint64  `msgpack:"newest"` // token of all terms that are known here
	Token  uint64  `msgpack:"token"`  // by which it leads or stands for election; 0: it does not, or by hand
	Left   float64 `msgpack:"left"`   // seconds of its lease
}

// mandateInfo is nil where nobody supervises.
func mandateInfo(i *instance.Info) *infoMandate {
	m := &i.Mandate
	if !m.Supervised {
		return nil
	}
	return &infoMandate{m.Token, m.Own, m.Left.Seconds()}
}
