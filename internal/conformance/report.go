package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// A Result is what a check came to.
type Result string

// The results.
const (
	Pass          Result = "PASS"
	Fail          Result = "FAIL"
	NotApplicable Result = "n.a."
)

// A Check is one rule, looked at.
type Check struct {
	Name   string `json:"name"`
	Rule   string `json:"rule"` // of docs/protocol.md
	Result Result `json:"result"`
	Want   string `json:"want"`           // what was expected
	Came   string `json:"came,omitempty"` // what came instead, or why it does not apply
}

// A Report is all checks of one run, in the order in which they were made.
type Report struct {
	Role   string
	Checks []Check
	Took   time.Duration
}

// Count is how many checks came to result.
func (r *Report) Count(result Result) (n int) {
	for i := range r.Checks {
		if r.Checks[i].Result == result {
			n++
		}
	}
	return n
}

// totals is the last line.
func (r *Report) totals() string {
	return fmt.Sprintf("conformance %s: checks=%d passed=%d failed=%d not_applicable=%d seconds=%.1f", r.Role,
		len(r.Checks), r.Count(Pass), r.Count(Fail), r.Count(NotApplicable), r.Took.Seconds())
}

// WriteTable writes a line for each check, and one with the totals.
func (r *Report) WriteTable(w io.Writer) error {
	name, rule := 0, 0
	for _, c := range r.Checks {
		name, rule = max(name, len(c.Name)), max(rule, len(c.Rule))
	}
	for _, c := range r.Checks {
		text := "want " + c.Want
		if c.Came != "" {
			text += "; came: " + c.Came
		}
		if c.Result == NotApplicable {
			text = "want " + c.Want + "; not checked: " + c.Came
		}
		if _, err := fmt.Fprintf(w, "%s  %-*s  %-*s  %s\n", c.Result, name, c.Name, rule, c.Rule, text); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, r.totals())
	return err
}

// WriteJSON writes the same as one object.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Role          string  `json:"role"`
		Checks        []Check `json:"checks"`
		Passed        int     `json:"passed"`
		Failed        int     `json:"failed"`
		NotApplicable int     `json:"not_applicable"`
		Seconds       float64 `json:"seconds"`
	}{r.Role, r.Checks, r.Count(Pass), r.Count(Fail), r.Count(NotApplicable), r.Took.Seconds()})
}
