package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A peer is one kind of broker under test, and what its clients and workers
// speak.
type peer struct {
	name             string
	client, worker   int // dialects
	noWorkers        bool
	onePort          bool   // workers connect where clients do
	req              bool   // clients are REQ sockets
	clients, workers string // the children that play them, if not those in C
	start            func(frontend, backend string, flags []string) (*process, error)
	missing          func() string // why it cannot be measured here; "" if it can
	connectedThrough time.Duration // how long workers need to be known to it
}

// ours reports whether it is the product.
func (p *peer) ours() bool { return strings.HasPrefix(p.name, "privateer") }

type ports struct{ Front, Back string }

// binary is where the product is built to; build sets it.
var binary = filepath.Join("bin", "privateer")

// privateer starts the product with what people run it with: metrics and
// flight recorder on.
func privateer(frontend, backend string, flags []string) (*process, error) {
	return unobserved(frontend, backend, append([]string{"--admin", "127.0.0.1:0"}, flags...))
}

// unobserved starts it without them.
func unobserved(frontend, backend string, flags []string) (*process, error) {
	return start("privateer", append([]string{binary, "broker", "--frontend", frontend, "--backend", backend,
		"--log-level", "warn"}, flags...)...)
}

func queueChild(role string) func(string, string, []string) (*process, error) {
	return func(frontend, backend string, _ []string) (*process, error) {
		return child(role, ports{frontend, backend})
	}
}

const registered = 300 * time.Millisecond

var peers = map[string]*peer{
	"zmq_proxy":             {name: "zmq_proxy", start: queueChild("proxy"), connectedThrough: registered},
	"guide in C":            {name: "guide in C", worker: ppp, start: queueChild("guide-c"), connectedThrough: registered},
	"guide in Go":           {name: "guide in Go", worker: ppp, start: queueChild("guide-go"), connectedThrough: registered},
	"privateer":             {name: "privateer", client: prv1, worker: prv1, start: privateer},
	"privateer, all Go":     {name: "privateer, all Go", start: privateer, clients: "go-pipeline", workers: "go-workers"},
	"privateer, no admin":   {name: "privateer, no admin", client: prv1, worker: prv1, start: unobserved},
	"privateer, guide":      {name: "privateer, guide", worker: ppp, start: privateer, connectedThrough: registered},
	"privateer, Go worker":  {name: "privateer, Go worker", client: prv1, worker: prv1, start: privateer, workers: "go-workers"},
	"privateer, deep":       {name: "privateer, deep", client: prv1, worker: prv1, start: privateer},
	"NATS":                  {name: "NATS", onePort: true, start: queueChild("nats"), clients: "nats-clients", workers: "nats-workers"},
	"Gearman":               {name: "Gearman", onePort: true, start: startGearman, missing: noGearman, clients: "gearman-clients", workers: "gearman-workers"},
	"RabbitMQ":              {name: "RabbitMQ", onePort: true, start: startRabbitMQ, missing: noRabbitMQ, clients: "rabbitmq-clients", workers: "rabbitmq-workers"},
	"privateer, busy":       {name: "privateer, busy", client: prv1, worker: prv1, start: privateer},
	"privateer, crowd":      {name: "privateer, crowd", client: prv1, worker: prv1, start: privateer},
	"echo to Pipeline":      {name: "echo to Pipeline", client: prv1, start: queueChild("echo"), noWorkers: true, clients: "go-pipeline"},
	"echo to REQ":           {name: "echo to REQ", start: queueChild("echo"), noWorkers: true, req: true},
	"echo to Do":            {name: "echo to Do", client: prv1, start: queueChild("echo"), noWorkers: true, clients: "go-do"},
	"echo, no workers":      {name: "echo, no workers", start: queueChild("echo"), noWorkers: true},
	"PRV1 echo, no workers": {name: "PRV1 echo, no workers", client: prv1, start: queueChild("echo"), noWorkers: true},
}

// freeEndpoint is a TCP endpoint of the loopback device on which nobody
// listens now.
func freeEndpoint() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return "tcp://" + l.Addr().String(), l.Close()
}

func freePorts() (p ports, err error) {
	if p.Front, err = freeEndpoint(); err != nil {
		return p, err
	}
	p.Back, err = freeEndpoint()
	return p, err
}

// listening waits until something listens at a TCP endpoint.
func listening(endpoint string, d time.Duration) error {
	const scheme = "tcp://"
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", endpoint[len(scheme):]); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("nothing listens at %s after %v", endpoint, d)
}

// exists says why a file that a peer needs is not there.
func exists(path, how string) string {
	if _, err := os.Stat(path); err != nil {
		return path + " is missing: " + how
	}
	return ""
}
