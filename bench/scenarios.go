package main

import "time"

// bothGo are the brokers whose clients and workers are in Go on both sides, with
// the same number of connections and processes: like beside like.
var bothGo = []string{"NATS", "privateer, all Go"}

// The scenarios, each with its goals as ratios within one paired run. First what
// a user of the Go packages has.
var scenarios = []scenario{
	{
		name: "go-4x16", alike: true, drawn: true, quick: true, peers: bothGo,
		clients: 4, window: 16, workers: 8, credit: 8, body: 64, goal: goThroughput(1),
	},
	{
		name: "go-64x1", alike: true, drawn: true, quick: true, peers: bothGo,
		clients: 64, window: 1, workers: 8, credit: 8, body: 64, goal: goThroughput(1.25),
	},
	{
		name: "go-1x1", alike: true, drawn: true, quick: true, peers: bothGo,
		clients: 1, window: 1, workers: 1, credit: 1, body: 64,
		goal: func(r *result) []verdict {
			return []verdict{
				atMost("p50, to NATS", r.ratio("privateer, all Go", "NATS", p50), .9),
				goCPU(r),
			}
		},
	},
	{
		// Short: one worker remembers 262,144 ids for 30 s, and must not be full before the end.
		name: "go-1x64", alike: true, drawn: true, quick: true, peers: bothGo, measured: 1500 * time.Millisecond,
		clients: 1, window: 64, workers: 1, credit: 64, body: 64, goal: goThroughput(1.15),
	},
	{
		name: "go-1k", alike: true, drawn: true, quick: true, peers: bothGo,
		clients: 4, window: 16, workers: 8, credit: 8, body: 1 << 10, goal: goThroughput(1),
	},
	{
		name: "brokers", drawn: true, peers: []string{"NATS", "privateer, all Go", "Gearman", "RabbitMQ"},
		clients: 64, window: 1, workers: 8, credit: 8, body: 64,
	},
	{
		name: "c-4x16", quick: true, peers: []string{"zmq_proxy", "privateer"},
		clients: 4, window: 16, workers: 8, credit: 8, body: 64,
		goal: func(r *result) []verdict {
			return []verdict{
				atMost("CPU a request, to zmq_proxy's", r.ratio("privateer", "zmq_proxy", cpu), 1),
				atLeast("throughput, to zmq_proxy's", r.ratio("privateer", "zmq_proxy", throughput), .9),
			}
		},
	},
	{
		name: "c-guide-4x16", quick: true, peers: []string{"guide in C", "privateer, guide", "guide in Go"},
		clients: 4, window: 16, workers: 64, credit: 1, body: 64,
		goal: guideGoal,
	},
	{
		name: "c-guide-64x1", quick: true, peers: []string{"guide in C", "privateer, guide", "guide in Go"},
		clients: 64, window: 1, workers: 64, credit: 1, body: 64,
		goal: guideGoal,
	},
	{
		name: "c-64x1", peers: []string{"zmq_proxy", "privateer"},
		clients: 64, window: 1, workers: 8, credit: 8, body: 64,
	},
	{
		name: "c-1x1", quick: true, peers: []string{"guide in C", "privateer", "privateer, guide"},
		clients: 1, window: 1, workers: 1, credit: 1, body: 64,
		goal: func(r *result) []verdict {
			return []verdict{
				atMost("p50 of PRV1, to the guide's in C", r.ratio("privateer", "guide in C", p50), 1.1),
				atMost("p50 of guide-style peers, to the guide's in C", r.ratio("privateer, guide", "guide in C", p50), 1.1),
			}
		},
	},
	{
		name: "c-admin", peers: []string{"privateer, no admin", "privateer"},
		clients: 4, window: 16, workers: 8, credit: 8, body: 64,
		goal: func(r *result) []verdict {
			return []verdict{atMost("CPU a request with metrics and recorder, to without", r.ratio("privateer", "privateer, no admin", cpu), 1.05)}
		},
	},
	{
		name: "c-1k", peers: []string{"zmq_proxy", "privateer"},
		clients: 4, window: 16, workers: 8, credit: 8, body: 1 << 10, goal: bodyGoal,
	},
	{
		name: "c-64k", peers: []string{"zmq_proxy", "privateer"},
		clients: 4, window: 4, workers: 8, credit: 8, body: 64 << 10, goal: bodyGoal,
	},
	{
		name: "c-1m", peers: []string{"zmq_proxy", "privateer"},
		clients: 4, window: 2, workers: 8, credit: 8, body: 1 << 20, goal: bodyGoal,
	},
	{
		name: "c-crowd", peers: []string{"privateer", "privateer, crowd"}, flags: []string{"--heartbeat", "10s"},
		clients: 4, window: 16, workers: 10, credit: 8, body: 64,
		beside: map[string]*background{"privateer, crowd": {idleWorkers: 9_990, settle: 3 * time.Second}},
		goal: func(r *result) []verdict {
			return []verdict{atMost("CPU a request with 10,000 workers connected, to 10", r.ratio("privateer, crowd", "privateer", cpu), 1.15)}
		},
	},
	{
		name: "c-deep", peers: []string{"privateer", "privateer, deep"}, flags: deepFlags,
		clients: 4, window: 16, workers: 8, credit: 8, body: 64,
		beside: map[string]*background{"privateer, deep": {settle: 12 * time.Second,
			clients: &clientsConfig{Service: "nobody", Sockets: 4, Window: 250_000, Body: 64, Deadline: time.Hour}}},
		goal: func(r *result) []verdict {
			return []verdict{atMost("CPU a request with 1,000,000 queued, to none", r.ratio("privateer, deep", "privateer", cpu), 1.15)}
		},
	},
	{
		// Both brokers work as fast as they can; only one of them has a queue.
		name: "c-priority", peers: []string{"privateer, busy", "privateer, deep", "privateer"}, flags: deepFlags, priority: 1,
		clients: 1, window: 1, workers: 8, credit: 8, body: 64,
		beside: map[string]*background{
			"privateer, busy": {settle: time.Second,
				clients: &clientsConfig{Service: "echo", Sockets: 4, Window: 16, Body: 64, Deadline: time.Minute, Priority: 2}},
			"privateer, deep": {settle: 4 * time.Second,
				clients: &clientsConfig{Service: "echo", Sockets: 4, Window: 25_000, Body: 64, Deadline: time.Minute, Priority: 2}},
		},
		goal: func(r *result) []verdict {
			return []verdict{
				atMost("p99 of a high-priority request with 100,000 low ones queued, to as busy without a queue", r.ratio("privateer, deep", "privateer, busy", p99), 3),
				atMost("... to idle", r.ratio("privateer, deep", "privateer", p99), 3),
			}
		},
	},
	{
		name: "c-generator", peers: []string{"zmq_proxy", "echo, no workers", "PRV1 echo, no workers"},
		clients: 4, window: 16, workers: 8, credit: 8, body: 64,
	},
	{
		name: "lib-worker", peers: []string{"privateer", "privateer, Go worker"},
		clients: 4, window: 16, workers: 1, credit: 64, body: 64,
		goal: func(r *result) []verdict {
			return []verdict{atMost("CPU a request of an echo handler in package worker, to one in C", r.ratio("privateer, Go worker", "privateer", workerCPU), 2)}
		},
	},
	{
		name: "lib-pipeline", peers: []string{"PRV1 echo, no workers", "echo to Pipeline"},
		clients: 1, window: 64, body: 64,
		goal: func(r *result) []verdict {
			return []verdict{atLeast("throughput of client.Pipeline, to a DEALER in C", r.ratio("echo to Pipeline", "PRV1 echo, no workers", throughput), .6)}
		},
	},
	{
		name: "lib-do", peers: []string{"echo to REQ", "echo to Do"},
		clients: 1, window: 1, body: 64,
		goal: func(r *result) []verdict {
			return []verdict{atMost("p50 of client.Do, to a bare REQ", r.ratio("echo to Do", "echo to REQ", p50), 1.3)}
		},
	},
}

// goThroughput are the goals of a scenario that compares requests a second.
func goThroughput(bound float64) func(*result) []verdict {
	return func(r *result) []verdict {
		return []verdict{
			atLeast("throughput, to NATS", r.ratio("privateer, all Go", "NATS", throughput), bound),
			goCPU(r),
		}
	}
}

func goCPU(r *result) verdict {
	return atMost("CPU of broker, clients and workers, to NATS", r.ratio("privateer, all Go", "NATS", sumCPU), 1)
}

func guideGoal(r *result) []verdict {
	return []verdict{atMost("CPU a request, to the guide's in C", r.ratio("privateer, guide", "guide in C", cpu), .8)}
}

func bodyGoal(r *result) []verdict {
	return []verdict{atLeast("throughput, to zmq_proxy's", r.ratio("privateer", "zmq_proxy", throughput), .95)}
}

// deepFlags make room for a million requests.
var deepFlags = []string{"--max-queue", "2000000"}
