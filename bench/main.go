// Command bench measures the broker beside others: it starts one and then the
// next, A B A B …, under the same load, and prints medians and ratios. It runs
// on Linux, on the loopback device, and ends what it has started.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command(args []string) error {
	if len(args) == 3 && args[0] == "child" {
		return role(args[1], []byte(args[2]))
	}
	o := options{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 3, "how often each broker is measured, in turn")
	flags.DurationVar(&o.measured, "measured", 2*time.Second, "measured time of a run")
	flags.StringVar(&o.only, "only", "", "names of scenarios, or what they begin with (go, c, lib), with commas between them")
	flags.BoolVar(&o.all, "all", false, "all scenarios, not only the quick ones")
	flags.StringVar(&o.json, "json", "", "write all runs to this file")
	flags.StringVar(&o.plot, "plot", "", "draw the table to this file, .svg or .png")
	flags.StringVar(&o.docs, "docs", "", "write the tables into README.md and docs/performance.md under this folder")
	flags.StringVar(&o.from, "from", "", "measure nothing: print and draw the runs of this file, which -json has written")
	flags.StringVar(&binary, "privateer", binary, "the product's binary")
	list := flags.Bool("list", false, "list the scenarios")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *list {
		for _, s := range scenarios {
			fmt.Printf("%-14s %s: %s\n", s.name, s.sides(), strings.Join(s.peers, " | "))
		}
		return nil
	}
	if o.from != "" {
		return o.again()
	}
	if _, err := exec.LookPath(binary); err != nil {
		return fmt.Errorf("%s is missing: run make build first", binary)
	}
	return o.run()
}

// The children, by what they are told.
var (
	clientRoles = map[string]func(*clientsConfig) (load, error){
		"clients": runClients, "go-pipeline": runPipelines, "go-do": runDo,
		"nats-clients": runNATSClients, "rabbitmq-clients": runRabbitMQClients, "gearman-clients": runGearmanClients,
	}
	workerRoles = map[string]func(*workersConfig) error{
		"workers": runWorkers, "go-workers": runGoWorkers, "nats-workers": runNATSWorkers, "rabbitmq-workers": runRabbitMQWorkers,
		"gearman-workers": runGearmanWorkers,
	}
	queueRoles = map[string]func(ports) error{
		"proxy":    func(p ports) error { return runProxy(p.Front, p.Back) },
		"guide-c":  func(p ports) error { return runGuideC(p.Front, p.Back) },
		"guide-go": func(p ports) error { return runGuideGo(p.Front, p.Back) },
		"echo":     func(p ports) error { return runEcho(p.Front, childLife) },
		"nats":     func(p ports) error { return runNATS(p.Front) },
	}
)

// role plays one child.
func role(name string, text []byte) error {
	if play := clientRoles[name]; play != nil {
		var c clientsConfig
		if err := json.Unmarshal(text, &c); err != nil {
			return err
		}
		l, err := play(&c)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(l)
	}
	if play := workerRoles[name]; play != nil {
		var c workersConfig
		if err := json.Unmarshal(text, &c); err != nil {
			return err
		}
		return play(&c)
	}
	play := queueRoles[name]
	if play == nil {
		return errors.New("no child is called " + name)
	}
	var p ports
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	return play(p)
}

type options struct {
	rounds           int
	measured         time.Duration
	only, json, plot string
	from, docs       string
	all              bool
}

// A result is what all rounds of one scenario gave.
type result struct {
	Scenario string
	At       time.Time     `json:",omitzero"` // when the first round began
	Machine  string        `json:",omitempty"`
	Measured time.Duration `json:",omitempty"` // of a run
	Peers    []string
	Runs     map[string][]run
	Skipped  map[string]string `json:",omitempty"`
	Verdicts []verdict         `json:",omitempty"`
}

func (o *options) run() error {
	var play []*scenario
	for i := range scenarios {
		if o.all || scenarios[i].quick {
			play = append(play, &scenarios[i])
		}
	}
	if o.only != "" {
		var err error
		if play, err = chosen(o.only); err != nil {
			return err
		}
	}
	var results []result
	for _, s := range play {
		r, err := o.play(s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		r.print(os.Stdout, s)
		results = append(results, r)
	}
	if o.json != "" {
		text, err := json.MarshalIndent(results, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(text, '\n'), 0o644); err != nil { //nolint:gosec // for everybody to read
			return err
		}
	}
	return o.show(results)
}

// show draws the results and writes them into the documents, if asked to.
func (o *options) show(results []result) error {
	if o.plot != "" {
		if err := draw(o.plot, results); err != nil {
			return err
		}
	}
	if o.docs != "" {
		return writeDocuments(o.docs, results)
	}
	return nil
}

// again prints and shows what was measured before.
func (o *options) again() error {
	text, err := os.ReadFile(o.from)
	if err != nil {
		return err
	}
	var results []result
	if err := json.Unmarshal(text, &results); err != nil {
		return fmt.Errorf("%s: %w", o.from, err)
	}
	for i := range results {
		s := scenarioNamed(results[i].Scenario)
		if s == nil {
			return fmt.Errorf("%s: there is no scenario %q", o.from, results[i].Scenario)
		}
		results[i].print(os.Stdout, s)
	}
	return o.show(results)
}

// play measures all brokers of a scenario, in turn.
func (o *options) play(s *scenario) (result, error) {
	if s.measured == 0 {
		s.measured = o.measured
	}
	r := result{Scenario: s.name, At: time.Now().UTC().Truncate(time.Second), Machine: machine(), Measured: s.measured,
		Peers: s.peers, Runs: map[string][]run{}, Skipped: map[string]string{}}
	for round := range o.rounds {
		for _, name := range s.peers {
			if missing := peers[name].missing; missing != nil {
				if why := missing(); why != "" {
					r.Skipped[name] = why
					continue
				}
			}
			x, err := s.measure(name)
			if err != nil {
				return r, fmt.Errorf("%s, round %d: %w", name, round+1, err)
			}
			r.Runs[name] = append(r.Runs[name], x)
		}
	}
	if s.goal != nil {
		r.Verdicts = s.goal(&r)
	}
	return r, nil
}
