//go:build prometheus

package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait here.
const patience = 20 * time.Second

// A prometheus is a real one, started with this folder's configuration.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus starts $PROMETHEUS to watch the broker at target once a second.
func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	program := os.Getenv("PROMETHEUS")
	if program == "" {
		t.Fatal("PROMETHEUS is not set: it names the program; see scripts/deploy-test")
	}
	dir := t.TempDir()
	config := readFile(t, "prometheus/prometheus.yml")
	for old, fresh := range map[string]string{`"127.0.0.1:5580"`: `"` + target + `"`, "_interval: 5s": "_interval: 1s"} {
		if !strings.Contains(config, old) {
			t.Fatalf("prometheus.yml has no %s", old)
		}
		config = strings.ReplaceAll(config, old, fresh)
	}
	for name, text := range map[string]string{"prometheus.yml": config, "privateer.rules.yml": readFile(t, "prometheus/privateer.rules.yml")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config.file", filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", "127.0.0.1:0")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start Prometheus: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
		if t.Failed() {
			t.Logf("Prometheus:\n%s", readFile(t, log.Name()))
		}
	})
	p := &prometheus{t: t}
	listening := regexp.MustCompile(`Listening on.* address=([0-9.]+:[0-9]+)`)
	eventually(t, "Prometheus listens", func() bool {
		if m := listening.FindStringSubmatch(readFile(t, log.Name())); m != nil {
			p.url = "http://" + m[1]
		}
		return p.url != ""
	})
	return p
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// get reads the data of a call of Prometheus's API. An error is what it says.
func (p *prometheus) get(path string, data any) error {
	resp, err := http.Get(p.url + "/api/v1/" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", answer.Status, answer.Error)
	}
	return nil
}

// query is how many series a query has, and the values as they are printed.
func (p *prometheus) query(query string) (values []string, err error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	err = p.get("query?query="+url.QueryEscape(query), &data)
	for _, r := range data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values, err
}

// TestPrometheus: a real Prometheus with this folder's files sees a real broker:
// the target is up, every rule is loaded and can be evaluated, and every query of
// the dashboard has data.
func TestPrometheus(t *testing.T) {
	r := startBroker(t)
	p := startPrometheus(t, r.broker.AdminAddr())
	eventually(t, "the target is up", func() bool {
		up, _ := p.query(`up{job="privateer"}`) // an error: it is not ready yet
		return slices.Equal(up, []string{"1"})
	})
	if got, err := p.query(`privateer_workers{state="up"}`); err != nil || !slices.Equal(got, []string{"1"}) {
		t.Errorf("workers: %v, %v; want 1", got, err)
	}

	type rule struct{ Name, Health, LastError, State string }
	var loaded []rule
	want := len(readRules(t).Groups[0].Rules)
	eventually(t, "the rules are evaluated", func() bool {
		var data struct {
			Groups []struct{ Rules []rule }
		}
		if err := p.get("rules", &data); err != nil || len(data.Groups) != 1 || len(data.Groups[0].Rules) != want {
			t.Fatalf("rules: %+v, %v; want %d", data, err, want)
		}
		loaded = data.Groups[0].Rules
		return !slices.ContainsFunc(loaded, func(r rule) bool { return r.Health == "unknown" })
	})
	for _, r := range loaded {
		if r.Health != "ok" {
			t.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
		}
	}

	// Rates need some scrapes with something happening in between.
	empty := map[string]string{}
	filled := func() bool {
		if err := r.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		clear(empty)
		for panel, queries := range panelQueries(t) {
			for _, query := range queries {
				values, err := p.query(inTest.Replace(query))
				if err != nil {
					t.Fatalf("panel %s: %s: %v", panel, query, err)
				}
				if len(values) == 0 && !strings.HasSuffix(query, "> 0") { // what is shown only when it is so
					empty[query] = panel
				}
			}
		}
		return len(empty) == 0
	}
	for end := time.Now().Add(patience); !filled(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("queries without data: %q", empty)
		}
	}

	out, err := exec.CommandContext(t.Context(), os.Getenv("PROMTOOL"), "query", "instant", p.url, `sum(privateer_requests_total{outcome="ok"})`).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("=>")) {
		t.Errorf("promtool query: %v: %s", err, out)
	}
}

// inTest puts in what Grafana would.
var inTest = strings.NewReplacer("$__rate_interval", "5s", "$instance", ".*", "$service", ".*")
