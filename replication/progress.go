package replication

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Progress counts what a JOIN has brought so far, at either end. Anybody may
// read it.
type Progress struct {
	rows, bytes atomic.Uint64
	total       atomic.Uint64 // about how many rows there are; 0: not known
	first       atomic.Int64  // when the first row came, in Unix nanoseconds; 0: none has
	doing       string
	log         zerolog.Logger // told each second
	began       time.Time
	said        time.Time
	saidRows    uint64
}

// progressRows is how often the clock is looked at, in rows.
const progressRows = 1 << 12

// progressEvery is between two lines of the log.
const progressEvery = time.Second

// Read is the number of rows and of the bytes of their tuples so far.
func (p *Progress) Read() (rows, bytes uint64) { return p.rows.Load(), p.bytes.Load() }

// Rate is rows a second, since the first one.
func (p *Progress) Rate() uint64 {
	n, first := p.rows.Load(), p.first.Load()
	if took := time.Since(time.Unix(0, first)); first != 0 && took > 0 {
		return uint64(float64(n) / took.Seconds())
	}
	return 0
}

// begin starts anew.
func (p *Progress) begin(log zerolog.Logger, doing string) {
	p.doing = doing
	p.rows.Store(0)
	p.bytes.Store(0)
	p.total.Store(0)
	p.first.Store(0)
	p.log, p.began, p.saidRows = log, time.Now(), 0
	p.said = p.began
}

// add counts a tuple. One goroutine does it.
func (p *Progress) add(size int) {
	if p == nil {
		return
	}
	n := p.rows.Add(1)
	p.bytes.Add(uint64(size))
	if n == 1 {
		p.first.Store(time.Now().UnixNano())
	}
	if n%progressRows != 0 {
		return
	}
	now := time.Now()
	if since := now.Sub(p.said); since >= progressEvery {
		p.log.Info().Uint64("rows", n).Uint64("bytes", p.bytes.Load()).
			Uint64("rows_per_second", uint64(float64(n-p.saidRows)/since.Seconds())).Str("share", p.Share()).Msg(p.doing)
		p.said, p.saidRows = now, n
	}
}

// done tells how it went all in all.
func (p *Progress) done() {
	if p == nil {
		return
	}
	n := p.rows.Load()
	took := time.Since(p.began)
	p.log.Info().Uint64("rows", n).Uint64("bytes", p.bytes.Load()).Dur("took", took).
		Uint64("rows_per_second", uint64(float64(n)/max(took.Seconds(), 1e-3))).Msg(p.doing + ": complete")
}

// expect says about how many rows there will be.
func (p *Progress) expect(rows uint64) {
	if p != nil {
		p.total.Store(rows)
	}
}

// expected is about how many rows there are; 0: not known.
func (p *Progress) expected() uint64 {
	if p == nil {
		return 0
	}
	return p.total.Load()
}

// Share tells people how much is done; empty: not known.
func (p *Progress) Share() string {
	total := p.expected()
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("%d%%", min(100*p.rows.Load()/total, 100))
}
