package instance

// waits are those who wait for an outcome. Those who wait for a queued transaction
// are in its payload.
type waits struct {
	clients  int    // queued transactions that a client waits for
	head     uint64 // transactions before this number have no waiting client
	local    []waiter
	promotes []promoteWaiter
	tellings []telling
	fates    []fate // answers that stand on something open
	fateSize int    // their bytes
	snaps    []pendingSnap
}

// waiter is a client that waits for a group only: its transaction is fully local.
type waiter struct {
	group      uint64
	conn, sync uint64
	data       []byte
}
