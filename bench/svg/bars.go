package svg

import (
	"fmt"
	"io"
)

// Bar is a value with the range that it was found in.
type Bar struct {
	Name             string
	Value, Low, High float64
}

// Bars is ratios, one below the other, beside the line of 1.
type Bars struct {
	Title string
	Bars  []Bar
}

const (
	barsLeft = 320 // room for names
	barStep  = 22
)

// Write draws the bars.
func (c *Bars) Write(w io.Writer) error {
	values := []float64{1}
	for _, b := range c.Bars {
		values = append(values, b.High)
	}
	end := top + barStep*float64(len(c.Bars))
	x := newAxis(values, false, barsLeft, right-60)
	d := newDrawing(c.Title, end+40)
	for _, v := range x.ticks {
		d.line(x.at(v), top, x.at(v), end, "#ddd")
		d.text(x.at(v), end+18, "middle", short(v))
	}
	for i, b := range c.Bars {
		y := top + barStep*float64(i)
		colour := colours[0]
		if b.Value < 1 {
			colour = colours[1]
		}
		d.text(barsLeft-8, y+15, "end", b.Name)
		d.rect(barsLeft, y+4, x.at(b.Value)-barsLeft, barStep-8, colour)
		d.line(x.at(b.Low), y+barStep/2, x.at(b.High), y+barStep/2, "#000")
		d.text(x.at(max(b.Value, b.High))+6, y+15, "start", fmt.Sprintf("%.2f", b.Value))
	}
	d.line(x.at(1), top-4, x.at(1), end+4, "#000")
	return d.write(w)
}
