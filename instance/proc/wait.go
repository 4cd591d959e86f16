package proc

type waiter struct{}

func (p *Procs) releaseWaiters() {}
