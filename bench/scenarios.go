package main

// The scenarios, each with its goals as ratios within one paired run.
var scenarios = []scenario{
	{
		name: "prv1", quick: true, peers: []string{"zmq_proxy", "privateer"},
		clients: 4, window: 16, workers: 8, credit: 8, body: 64,
		goal: func(r *result) []verdict {
			return []verdict{
				atMost("CPU a request, to zmq_proxy's", r.ratio("privateer", "zmq_proxy", cpu), 1.4),
				atLeast("throughput, to zmq_proxy's", r.ratio("privateer", "zmq_proxy", throughput), .85),
			}
		},
	},
	{
		name: "guide-4x16", quick: true, peers: []string{"guide in C", "privateer, guide", "guide in Go"},
		clients: 4, window: 16, workers: 64, credit: 1, body: 64,
		goal: guideGoal,
	},
	{
		name: "guide-64x1", quick: true, peers: []string{"guide in C", "privateer, guide", "guide in Go"},
		clients: 64, window: 1, workers: 64, credit: 1, body: 64,
		goal: guideGoal,
	},
	{
		name: "serial", quick: true, peers: []string{"guide in C", "privateer", "privateer, guide"},
		clients: 1, window: 1, workers: 1, credit: 1, body: 64,
		goal: func(r *result) []verdict {
			return []verdict{
				atMost("p50 of PRV1, to the guide's in C", r.ratio("privateer", "guide in C", p50), 1.1),
				atMost("p50 of guide-style peers, to the guide's in C", r.ratio("privateer, guide", "guide in C", p50), 1.1),
			}
		},
	},
	{
		name: "admin", peers: []string{"privateer, no admin", "privateer"},
		clients: 4, window: 16, workers: 8, credit: 8, body: 64,
		goal: func(r *result) []verdict {
			return []verdict{atMost("CPU a request with metrics and recorder, to without", r.ratio("privateer", "privateer, no admin", cpu), 1.05)}
		},
	},
	{
		name: "generator", peers: []string{"zmq_proxy", "echo, no workers", "PRV1 echo, no workers"},
		clients: 4, window: 16, workers: 8, credit: 8, body: 64,
	},
}

func guideGoal(r *result) []verdict {
	return []verdict{atMost("CPU a request, to the guide's in C", r.ratio("privateer, guide", "guide in C", cpu), 1)}
}
