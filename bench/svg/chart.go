package svg

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// Point of a curve.
type Point struct{ X, Y float64 }

// Curve is a series of points in the order of their X.
type Curve struct {
	Name   string
	Points []Point
}

// Chart is curves over one pair of axes.
type Chart struct {
	Title      string
	X, Y       string // what the axes are
	LogX, LogY bool
	Curves     []Curve
}

// The picture: its size, and the field that the axes leave.
const (
	width, height = 720, 415
	left, right   = 80, 700
	top, bottom   = 50, 340
)

// colours of the curves, in their order; they can be told apart by those who do
// not see red and green (Okabe and Ito).
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// Write draws the chart.
func (c *Chart) Write(w io.Writer) error {
	var xs, ys []float64
	for _, curve := range c.Curves {
		for _, p := range curve.Points {
			xs, ys = append(xs, p.X), append(ys, p.Y)
		}
	}
	x, y := newAxis(xs, c.LogX, left, right), newAxis(ys, c.LogY, bottom, top)
	d := newDrawing(c.Title, height)
	for _, v := range x.ticks {
		d.line(x.at(v), top, x.at(v), bottom, "#ddd")
		d.text(x.at(v), bottom+18, "middle", short(v))
	}
	for _, v := range y.ticks {
		d.line(left, y.at(v), right, y.at(v), "#ddd")
		d.text(left-8, y.at(v)+4, "end", short(v))
	}
	d.text((left+right)/2, bottom+40, "middle", c.X)
	d.text(left, top-8, "start", c.Y)
	for i, curve := range c.Curves {
		d.curve(curve, &x, &y, colours[i%len(colours)])
		at := left + (right-left)/float64(len(c.Curves))*float64(i)
		d.rect(at, bottom+55, 10, 10, colours[i%len(colours)])
		d.text(at+16, bottom+64, "start", curve.Name)
	}
	return d.write(w)
}

// drawing is the text of a picture as it grows.
type drawing struct{ b strings.Builder }

func newDrawing(title string, height float64) *drawing {
	d := &drawing{}
	fmt.Fprintf(&d.b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n", width, height)
	fmt.Fprintf(&d.b, "<rect width=\"%d\" height=\"%.0f\" fill=\"#fff\"/>\n", width, height)
	fmt.Fprintf(&d.b, "<text x=\"%d\" y=\"22\" font-size=\"15\" text-anchor=\"middle\">%s</text>\n", width/2, html.EscapeString(title))
	return d
}

func (d *drawing) line(x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(&d.b, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1, x2, y2, colour)
}

func (d *drawing) text(x, y float64, anchor, s string) {
	fmt.Fprintf(&d.b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, html.EscapeString(s))
}

func (d *drawing) rect(x, y, w, h float64, colour string) {
	fmt.Fprintf(&d.b, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y, w, h, colour)
}

func (d *drawing) curve(c Curve, x, y *axis, colour string) {
	var points []string
	for _, p := range c.Points {
		points = append(points, fmt.Sprintf("%.1f,%.1f", x.at(p.X), y.at(p.Y)))
	}
	fmt.Fprintf(&d.b, "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", strings.Join(points, " "), colour)
	for _, p := range c.Points {
		fmt.Fprintf(&d.b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x.at(p.X), y.at(p.Y), colour)
	}
}

func (d *drawing) write(w io.Writer) error {
	_, err := io.WriteString(w, d.b.String()+"</svg>\n")
	return err
}
