package main

import (
	"path/filepath"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// curve is one line of a picture, and its upper companion.
type curve struct {
	name   string
	points []point
}

type point struct {
	x        int
	p50, p99 time.Duration
}

// drawCurves draws times over sizes, both logarithmic, to NAME.svg: the medians as
// solid lines, the 99th percentiles dashed.
func drawCurves(dir, name, title, x string, curves []curve) error {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text, p.Y.Label.Text = x, "milliseconds (solid: p50, dashed: p99)"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	for i, c := range curves {
		var p50, p99 plotter.XYs
		for _, pt := range c.points {
			p50 = append(p50, plotter.XY{X: float64(pt.x), Y: ms(pt.p50)})
			p99 = append(p99, plotter.XY{X: float64(pt.x), Y: ms(pt.p99)})
		}
		solid, dots, err := plotter.NewLinePoints(p50)
		if err != nil {
			return err
		}
		dashed, err := plotter.NewLine(p99)
		if err != nil {
			return err
		}
		solid.Color, dots.Color, dashed.Color = plotutil.Color(i), plotutil.Color(i), plotutil.Color(i)
		solid.Width, dashed.Dashes = vg.Points(2), []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(solid, dots, dashed)
		p.Legend.Add(c.name, solid, dots)
	}
	return p.Save(18*vg.Centimeter, 12*vg.Centimeter, filepath.Join(dir, name+".svg"))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
