package server

import (
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/xlog"
)

// countVoided counts what the store keeps of voided transactions. It goes over all their
// keys, so it is done beside whoever asks, one at a time.
func (n *node) countVoided(done func([]proc.Voided, error)) {
	n.bg.Go(func() {
		n.counting.Lock()
		defer n.counting.Unlock()
		var all []proc.Voided
		err := n.store.CountLost(func(c xlog.LostCount) { all = append(all, proc.Voided(c)) })
		done(all, err)
	})
}
