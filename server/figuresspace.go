package server

import (
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/metrics"
	"tarragon.dev/tarragon/xrow"
)

// Spaces of users (box.space). Those whose names begin with _, and temporary ones, are none to Tarantool's module either.
var (
	spaceLen   = Metrics.Gauge("spaces", "tnt_space_len", "Tuples of a space.", "name", "engine")
	spaceBytes = Metrics.Gauge("spaces", "tnt_space_bsize", "Bytes of these tuples, without their indexes.", "name", "engine")
)

// spacesAtOnce is how many spaces are looked at under one hold of the latch.
const spacesAtOnce = 1000

func (f *figures) spaces(to *metrics.Samples) {
	if !to.Wants(spaceLen) {
		return
	}
	from := uint32(xrow.FirstUserSpace)
	var sizes []box.SpaceSize
	for {
		sizes = sizes[:0]
		f.e.loop.Scan(func(c *instance.Core) { sizes = c.Box().Schema().SpaceSizes(from, spacesAtOnce, sizes) })
		for i := range sizes {
			if sp := &sizes[i]; !sp.Temp && !strings.HasPrefix(sp.Name, "_") {
				metrics.Count(to, spaceLen, sp.Rows, sp.Name, sp.Engine)
				metrics.Count(to, spaceBytes, sp.Bytes, sp.Name, sp.Engine)
			}
		}
		if len(sizes) < spacesAtOnce {
			return
		}
		from = sizes[len(sizes)-1].ID + 1
	}
}
