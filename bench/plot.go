package main

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// draw writes the CPU a request of all brokers, as bars, to an SVG or PNG file.
func draw(file string, results []result) error {
	p := plot.New()
	p.Title.Text = "broker CPU a request, µs (median)"
	p.Title.Padding = vg.Points(8)
	p.X.Min = 0
	var names []string
	y := 0.0
	for i := len(results) - 1; i >= 0; i-- { // from below
		r := &results[i]
		if s := scenarioNamed(r.Scenario); s != nil && !s.drawn {
			continue
		}
		for j := len(r.Peers) - 1; j >= 0; j-- {
			runs := r.Runs[r.Peers[j]]
			if len(runs) == 0 {
				continue
			}
			bar, err := plotter.NewBarChart(plotter.Values{median(runs, cpu)}, vg.Points(11))
			if err != nil {
				return err
			}
			bar.Horizontal, bar.XMin, bar.LineStyle.Width = true, y, 0
			bar.Color = color.RGBA{R: 150, G: 150, B: 150, A: 255}
			if peers[r.Peers[j]].ours() {
				bar.Color = color.RGBA{R: 20, G: 90, B: 160, A: 255}
			}
			p.Add(bar)
			names = append(names, fmt.Sprintf("%s: %s", r.Scenario, r.Peers[j]))
			y++
		}
	}
	p.NominalY(names...)
	return p.Save(16*vg.Centimeter, vg.Length(y*0.62+2)*vg.Centimeter, file)
}
