// Package doctor finds out, step by step, why a broker cannot be reached or
// does not serve: it speaks ZMTP itself, over one plain connection, so that
// each layer can be told from the next.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A Role says what the port is meant for.
type Role uint8

// The roles.
const (
	Any    Role = iota // find out
	Client             // a front is meant
	Worker             // a back is meant
)

// The ports of a broker, as a Report names them.
const (
	front = "front"
	back  = "back"
)

// Config says what is checked.
type Config struct {
	Endpoint string // tcp://host:port, host:port or ipc://path
	Role     Role
	// Service is asked for, and gets one request, if it is not empty.
	Service string
	Timeout time.Duration // of all steps together
}

// A State is how a step ended.
type State string

// The states.
const (
	OK      State = "ok"
	Fail    State = "fail"
	Skipped State = "skipped" // an earlier one failed, or it was not asked for
)

// A Step is one line of a Report.
type Step struct {
	Name  string
	State State
	Took  time.Duration
	Note  string // what was found
}

// A Report is what Check found.
type Report struct {
	Endpoint string
	Port     string // "front", "back"; "" if that could not be told
	Steps    []Step
	Failed   string // name of the first step that failed; "" if none did
	Advice   string // what to do about it, one sentence
}

// A problem is why a step failed, and what to do about it.
type problem struct{ found, advice string }

func (p *problem) Error() string { return p.found }

// errSkip ends a step that has nothing to check here.
var errSkip = errors.New("skipped")

// A patient is one connection under examination.
type patient struct {
	cfg        Config
	host, port string
	path       string // of an ipc endpoint, which has no host
	resolver   *net.Resolver

	addrs    []string // of host
	conn     net.Conn
	connTook time.Duration
	wire     wire
	peer     greeting

	instance uint64 // of this client
	epoch    uint64 // of the broker
	kind     string // front or back
	draining bool
	leaving  string // a back's reason to send us away, other than that it does not know us
}

type step struct {
	name string
	do   func(*patient, context.Context) (note string, err error)
}

var steps = []step{
	{"dns", (*patient).dns},
	{"tcp", (*patient).tcp},
	{"greeting", (*patient).greet},
	{"mechanism", (*patient).mechanism},
	{"socket", (*patient).socket},
	{"protocol", (*patient).protocol},
	{"port", (*patient).which},
	{"state", (*patient).state},
	{"service", (*patient).service},
	{"round-trip", (*patient).roundTrip},
}

// Check makes all steps, up to the first that fails. The error is about cfg
// alone: nothing was checked then.
func Check(ctx context.Context, cfg Config) (*Report, error) {
	return check(ctx, cfg, net.DefaultResolver)
}

func check(ctx context.Context, cfg Config, resolver *net.Resolver) (*Report, error) {
	path, local := strings.CutPrefix(cfg.Endpoint, "ipc://")
	var host, port string
	var err error
	if local {
		err = checkPath(path)
	} else {
		path = ""
		host, port, err = split(cfg.Endpoint)
	}
	if err != nil {
		return nil, err
	}
	if cfg.Service != "" {
		if why := protocol.ValidService([]byte(cfg.Service)); why != "" {
			return nil, fmt.Errorf("--service: %s", why)
		}
		if cfg.Role == Worker {
			return nil, errors.New("--service is asked at the front port: leave out --role worker")
		}
		cfg.Role = Client
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	p := &patient{cfg: cfg, host: host, port: port, path: path, resolver: resolver, instance: number()}
	defer func() {
		if p.conn != nil {
			p.conn.Close()
		}
	}()
	r := &Report{Endpoint: cfg.Endpoint}
	for _, s := range steps {
		r.Steps = append(r.Steps, p.take(ctx, s, r))
	}
	r.Port = p.kind
	return r, nil
}

// take makes one step, unless an earlier one has failed.
func (p *patient) take(ctx context.Context, s step, r *Report) Step {
	if r.Failed != "" {
		return Step{Name: s.name, State: Skipped}
	}
	if s.name == "tcp" && p.path != "" {
		s.name = "ipc"
	}
	began := time.Now()
	note, err := s.do(p, ctx)
	line := Step{Name: s.name, State: OK, Took: time.Since(began), Note: note}
	var why *problem
	switch {
	case errors.Is(err, errSkip):
		line.State, line.Took = Skipped, 0
	case errors.As(err, &why):
		line.State, line.Note = Fail, why.found
		r.Failed, r.Advice = s.name, why.advice
	case err != nil:
		line.State, line.Note = Fail, err.Error()
		r.Failed, r.Advice = s.name, "try again, and if it fails again look at the broker's log"
	}
	return line
}

// split parts an endpoint into host and port.
func split(endpoint string) (host, port string, err error) {
	scheme, rest, ok := strings.Cut(endpoint, "://")
	if !ok {
		rest = endpoint
	} else if scheme != "tcp" {
		return "", "", fmt.Errorf("%s: only tcp and ipc endpoints can be examined: write tcp://host:port or ipc://path", endpoint)
	}
	host, port, err = net.SplitHostPort(rest)
	if err != nil || host == "" {
		return "", "", fmt.Errorf("%s: write tcp://host:port, an IPv6 host in brackets", endpoint)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("%s: port %q is not a number from 1 to 65535", endpoint, port)
	}
	return host, port, nil
}

// left is a share of the time that is left.
func left(ctx context.Context, share int) time.Duration {
	end, _ := ctx.Deadline() // it has one
	if ctx.Err() != nil {
		return 0
	}
	return max(time.Until(end), 0) / time.Duration(share)
}
