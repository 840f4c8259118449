package main

import (
	"errors"
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// draw writes the CPU a request of broker, clients and workers, as bars, to an
// SVG or PNG file.
func draw(file string, results []result) error {
	p := plot.New()
	p.Title.Text = "CPU a request, µs (median): broker, clients, workers (from dark to pale)"
	p.Title.Padding = vg.Points(8)
	p.X.Min = 0
	var names []string
	y := 0.0
	for i := len(results) - 1; i >= 0; i-- { // from below
		r := &results[i]
		if s := scenarioNamed(r.Scenario); s != nil && !s.drawn {
			continue
		}
		all := r.measured()
		for j := len(all) - 1; j >= 0; j-- {
			var below *plotter.BarChart
			for k, f := range []func(*run) float64{cpu, clientCPU, workerCPU} {
				bar, err := plotter.NewBarChart(plotter.Values{r.of(all[j], f).Median}, vg.Points(11))
				if err != nil {
					return err
				}
				bar.Horizontal, bar.XMin, bar.LineStyle.Width = true, y, 0
				bar.Color = shade(peers[all[j]].ours(), k)
				if below != nil {
					bar.StackOn(below)
				}
				p.Add(bar)
				below = bar
			}
			names = append(names, fmt.Sprintf("%s: %s", r.Scenario, all[j]))
			y++
		}
	}
	if len(names) == 0 {
		return errors.New("nothing to draw: no scenario of the picture was measured")
	}
	p.NominalY(names...)
	p.Y.Label.Text = " " // keeps the names from the edge, which would cut them
	return p.Save(16*vg.Centimeter, vg.Length(y*0.62+2)*vg.Centimeter, file)
}

// shade is blue for ours and grey for others, paler with each step.
func shade(ours bool, step int) color.Color {
	dark := color.RGBA{R: 110, G: 110, B: 110, A: 255}
	if ours {
		dark = color.RGBA{R: 20, G: 90, B: 160, A: 255}
	}
	pale := func(v uint8) uint8 { return v + uint8(int(255-v)*step/4) }
	return color.RGBA{R: pale(dark.R), G: pale(dark.G), B: pale(dark.B), A: 255}
}
