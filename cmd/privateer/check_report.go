package main

import (
	"fmt"
	"io"
	"strings"
)

// A checkReport is what a check has found, the worst first.
type checkReport struct {
	State    string    `json:"state"`
	Findings []finding `json:"findings"`

	state   verdict
	summary string // in place of findings that are all fine
}

// cannotAsk is the report of what keeps the check from asking.
func cannotAsk(err error) *checkReport {
	r := &checkReport{}
	r.found(finding{Check: "ask", Text: err.Error(), state: unknown})
	return r
}

func (r *checkReport) write(w io.Writer, format string) error {
	if r.Findings == nil {
		r.State, r.Findings = fine.String(), []finding{}
	}
	switch format {
	case "json":
		return writeJSON(w, r)
	case "nagios":
		return r.writeNagios(w)
	case "prometheus":
		return r.writePrometheus(w)
	}
	return r.writeText(w)
}

func (r *checkReport) writeText(w io.Writer) error {
	if r.state == fine {
		_, err := fmt.Fprintf(w, "OK: %s\n", r.summary)
		return err
	}
	for _, f := range r.Findings {
		if f.state == fine {
			break
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", strings.ToUpper(f.State), f.Text); err != nil {
			return err
		}
	}
	return nil
}

// writeNagios writes one line: the state, what is wrong, and after "|" each
// value as name=value;warning;critical;least.
func (r *checkReport) writeNagios(w io.Writer) error {
	var texts, data []string
	for _, f := range r.Findings {
		if f.state != fine {
			texts = append(texts, f.Text)
		}
		if f.Value == nil {
			continue
		}
		of := func(limit *float64) string {
			switch {
			case limit == nil:
				return ""
			case f.below: // a range that is fine, open to above
				return plain(*limit) + ":"
			}
			return plain(*limit)
		}
		data = append(data, fmt.Sprintf("%s=%s%s;%s;%s;0", f.Check, plain(*f.Value), f.Unit, of(f.Warning), of(f.Critical)))
	}
	text := strings.Join(texts, "; ")
	if r.state == fine {
		text = r.summary
	}
	line := "PRIVATEER " + strings.ToUpper(r.State) + " - " + strings.ReplaceAll(text, "|", "/")
	if len(data) > 0 {
		line += " | " + strings.Join(data, " ")
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

func (r *checkReport) writePrometheus(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# HELP privateer_check_state How the broker stands: 0 ok, 1 warning, 2 critical, 3 unknown.\n" +
		"# TYPE privateer_check_state gauge\n")
	fmt.Fprintf(&b, "privateer_check_state %d\n", r.state)
	if len(r.Findings) > 0 {
		b.WriteString("# HELP privateer_check_result The same, for each check.\n# TYPE privateer_check_result gauge\n")
	}
	values := false
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "privateer_check_result{check=%q} %d\n", f.Check, f.state)
		values = values || f.Value != nil
	}
	if values {
		b.WriteString("# HELP privateer_check_value What each check found; times in seconds.\n# TYPE privateer_check_value gauge\n")
	}
	for _, f := range r.Findings {
		if f.Value != nil {
			fmt.Fprintf(&b, "privateer_check_value{check=%q} %s\n", f.Check, plain(*f.Value))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
