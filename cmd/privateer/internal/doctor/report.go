package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteText writes a line per step, and last what to do.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintln(&b, r.Endpoint)
	for _, s := range r.Steps {
		state, took := map[State]string{OK: "OK", Fail: "FAIL", Skipped: "–"}[s.State], ""
		if s.State != Skipped {
			took = fmt.Sprintf("%.1f ms", ms(s.Took))
		}
		line := fmt.Sprintf("  %-10s  %-4s  %10s  %s", s.Name, state, took, s.Note)
		fmt.Fprintln(&b, strings.TrimRight(line, " "))
	}
	fmt.Fprintln(&b, "doctor: "+r.Verdict())
	_, err := io.WriteString(w, b.String())
	return err
}

// Verdict is what failed first and what to do, in sentences.
func (r *Report) Verdict() string {
	if r.Failed == "" {
		return "all fine"
	}
	for _, s := range r.Steps {
		if s.Name == r.Failed {
			return fmt.Sprintf("%s failed: %s. %s%s.", s.Name, s.Note, strings.ToUpper(r.Advice[:1]), r.Advice[1:])
		}
	}
	return r.Advice
}

// WriteJSON writes the report as one object, on a line.
func (r *Report) WriteJSON(w io.Writer) error {
	type line struct {
		Step  string  `json:"step"`
		State State   `json:"state"`
		MS    float64 `json:"ms"`
		Note  string  `json:"note,omitempty"`
	}
	list := make([]line, len(r.Steps))
	for i, s := range r.Steps {
		list[i] = line{s.Name, s.State, ms(s.Took), s.Note}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		Endpoint string `json:"endpoint"`
		OK       bool   `json:"ok"`
		Port     string `json:"port,omitempty"`
		Failed   string `json:"failed,omitempty"`
		Advice   string `json:"advice,omitempty"`
		Steps    []line `json:"steps"`
	}{r.Endpoint, r.Failed == "", r.Port, r.Failed, r.Advice, list})
}

// ms is d in milliseconds, with a precision of 0.1.
func ms(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}
