package sim

import "testing"

// TestTxns lives clusters whose clients have transactions of several requests, at all levels
// of isolation, over failovers and switchovers.
func TestTxns(t *testing.T) {
	count := 30
	if testing.Short() {
		count = 6
	}
	var met TxnMet
	faults := []string{"handover", "handdie", "handcut", "crash", "pair", "oneway", "pause", "slowdisk", "stall", "checkpoint"}
	for _, o := range []Options{{Txns: true, Faults: faults}, {Txns: true}} {
		for _, r := range runSeeds(*firstSeed, count/2, o) {
			met.Add(r.Txns)
			if r.Err != nil {
				t.Errorf("seed %d: %v", r.Seed, r.Err)
			}
		}
	}
	t.Logf("%+v", met)
	if met.Committed < 50*count || met.ReadOnly < 20*count || met.Refused < 50*count || met.Reads < 200*count || met.Over < 10*count {
		t.Errorf("that proves too little: %+v", met)
	}
}
