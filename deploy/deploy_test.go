// Package deploy holds what runs a broker in earnest: systemd units, Prometheus
// rules, a Grafana dashboard, the faults of the Compose file. Its tests see that
// they name what there is.
package deploy

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// A ruleFile is a file of alert rules.
type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Alert       string
			Expr        string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

// A dashboard is what has queries in a dashboard of Grafana.
type dashboard struct {
	Annotations struct {
		List []struct{ Expr string }
	}
	Templating struct {
		List []struct {
			Type       string
			Definition string
		}
	}
	Panels []struct {
		ID      int
		Type    string
		Title   string
		Targets []struct{ Expr string }
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readRules(t *testing.T) (f ruleFile) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(readFile(t, "prometheus/privateer.rules.yml")), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(readFile(t, "grafana/privateer.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// panelQueries are the dashboard's queries, by panel.
func panelQueries(t *testing.T) map[string][]string {
	t.Helper()
	d, all, ids := readDashboard(t), map[string][]string{}, map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 {
			t.Errorf("panel %s has no query", p.Title)
		}
		for _, target := range p.Targets {
			all[p.Title] = append(all[p.Title], target.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		all["annotations"] = append(all["annotations"], a.Expr)
	}
	return all
}

var (
	metricName = regexp.MustCompile(`\b(?:privateer|process|go)_[a-z0-9_]+\b`)
	selector   = regexp.MustCompile(`\b((?:privateer|process|go)_[a-z0-9_]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`([a-z_]+) *(?:=~|!~|!=|=) *"`)
	grouping   = regexp.MustCompile(`\bby *\(([^)]*)\)`)
)

// scraped are the labels that Prometheus adds.
var scraped = []string{"job", "instance"}

// TestQueriesNameWhatThereIs: each metric and label in the dashboard and in the
// rules is one of a real broker.
func TestQueriesNameWhatThereIs(t *testing.T) {
	have := startBroker(t).metrics()
	queries := panelQueries(t)
	for _, v := range readDashboard(t).Templating.List {
		if v.Type == "query" {
			queries["variables"] = append(queries["variables"], v.Definition)
		}
	}
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			queries[r.Alert] = append(queries[r.Alert], r.Expr)
		}
	}
	named := 0
	for where, list := range queries {
		for _, query := range list {
			inQuery := slices.Clone(scraped)
			for _, name := range metricName.FindAllString(query, -1) {
				named++
				if have[name] == nil {
					t.Errorf("%s: no metric %s", where, name)
				}
				inQuery = append(inQuery, have[name]...)
			}
			for _, m := range selector.FindAllStringSubmatch(query, -1) {
				for _, label := range labelName.FindAllStringSubmatch(m[2], -1) {
					if !slices.Contains(have[m[1]], label[1]) && !slices.Contains(scraped, label[1]) {
						t.Errorf("%s: %s has no label %s", where, m[1], label[1])
					}
				}
			}
			for _, m := range grouping.FindAllStringSubmatch(query, -1) {
				for _, label := range strings.Split(m[1], ",") {
					if label = strings.TrimSpace(label); !slices.Contains(inQuery, label) {
						t.Errorf("%s: by (%s), which no metric in it has", where, label)
					}
				}
			}
		}
	}
	if named < 50 {
		t.Errorf("%d names of metrics in all: the queries were not found", named)
	}
}

// anchors are the targets of links to a document's headings.
func anchors(document string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(document, -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(anchor, " ", "-"))
	}
	return all
}

// TestAlerts: each has a summary, a severity, a runbook that is there, and a unit
// test in which it fires and one in which it does not. And each runbook has its alert.
func TestAlerts(t *testing.T) {
	var tests struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "prometheus/privateer.rules_test.yml")), &tests); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, c := range tests.Tests {
		for _, a := range c.AlertRuleTest {
			fires[a.Alertname] = fires[a.Alertname] || len(a.ExpAlerts) > 0
			quiet[a.Alertname] = quiet[a.Alertname] || len(a.ExpAlerts) == 0
		}
	}
	runbooks := map[string]bool{}
	for _, anchor := range anchors(readFile(t, "../docs/operating.md")) {
		if strings.HasPrefix(anchor, "privateer") {
			runbooks[anchor] = true
		}
	}
	alerts := 0
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			alerts++
			anchor := strings.ToLower(r.Alert)
			if want := "docs/operating.md#" + anchor; r.Annotations["runbook_url"] != want || !runbooks[anchor] {
				t.Errorf("%s: its runbook is %q, want %q, and docs/operating.md to have it", r.Alert, r.Annotations["runbook_url"], want)
			}
			delete(runbooks, anchor)
			if s := r.Labels["severity"]; r.Annotations["summary"] == "" || s != "critical" && s != "warning" {
				t.Errorf("%s: summary %q, severity %q", r.Alert, r.Annotations["summary"], s)
			}
			if !fires[r.Alert] || !quiet[r.Alert] {
				t.Errorf("%s: in its unit tests it fires: %t, is quiet: %t; want both", r.Alert, fires[r.Alert], quiet[r.Alert])
			}
		}
	}
	if alerts == 0 {
		t.Error("no alerts were found")
	}
	for anchor := range runbooks {
		t.Errorf("docs/operating.md has a runbook %s, and there is no such alert", anchor)
	}
}

// TestUnitsComeBack: what systemd takes for an end in good order, and is none, does
// not leave a unit down.
func TestUnitsComeBack(t *testing.T) {
	for _, unit := range []string{"privateer-broker.service", "privateer-worker@.service"} {
		text := readFile(t, "systemd/"+unit)
		if !regexp.MustCompile(`(?m)^Restart=on-failure$`).MatchString(text) {
			t.Errorf("%s: what fails is not started again", unit)
		}
		forced := regexp.MustCompile(`(?m)^RestartForceExitStatus=(.*)$`).FindStringSubmatch(text)
		for _, sig := range []string{"SIGPIPE", "SIGHUP"} {
			if forced == nil || !slices.Contains(strings.Fields(forced[1]), sig) {
				t.Errorf("%s: ended by %s it stays down", unit, sig)
			}
		}
	}
}
