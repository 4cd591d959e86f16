package instance

import "tarragon.dev/tarragon/vclock"

// peers are what others say of themselves and of us, by replica ID. A set has a
// bit for each.
type peers struct {
	acked    [vclock.Max]vclock.VClock
	shown    [vclock.Max]Shown  // election states, without Ack: acked has that
	wishes   [vclock.Max]string // the quorum that the files of each member ask for
	back     uint32             // whose disk shows less than before
	claims   claims             // what members say of our disk
	silenced bool               // by claims, as the election machine was told
}
