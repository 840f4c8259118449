package main

import (
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// fakeNow is when the fake admin listener's data was taken.
var fakeNow = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func fakeStatus() adminapi.Status {
	return adminapi.Status{
		Version: "1.2.3", Commit: "abc", Epoch: "00000000000000aa",
		Started: fakeNow.Add(-11520 * time.Second), UptimeMS: 11520000,
		Frontends: []string{"tcp://127.0.0.1:5555"}, Backends: []string{"tcp://127.0.0.1:5556"},
		Open: 15, Queued: 12, Running: 3, OldestMS: 45200, Workers: 3, Services: 4, DeadLetters: 2, IDs: 40,
		Outcomes: map[string]uint64{"OK": 12000}, Refused: map[string]uint64{}, Drops: map[string]uint64{},
		Redelivered: 4, WorkersLost: 2, LoopLagMS: 612.5, Busy: 0.42,
	}
}

// fakeTroubled are services that hang and fail.
func fakeTroubled() []adminapi.Service {
	return []adminapi.Service{
		{Name: "batch", Workers: 2, Running: 1, RunMS: 1_800_000, RunID: freshID, RunWorker: "00000000000000c3", RunP99MS: 600_000, HangAfterMS: 6_000_000},
		{Name: "hash", Workers: 2, Running: 1, Done: 60, RunMS: 420_000, RunID: knownID, RunWorker: "00000000000000c1", RunP99MS: 128, HangAfterMS: 10_000, Hanging: true},
		{Name: "mail", Workers: 1, Done: 60, Failed: 60, RecentDone: 60, RecentFailed: 60, Failing: true},
	}
}

func fakeServices() []adminapi.Service {
	return []adminapi.Service{
		{Name: "hash", Queued: 9, OldestMS: 3200, Running: 3, Workers: 2, Done: 12345, Failed: 7},
		{Name: "idle", Workers: 1},
		{Name: "mail", Queued: 2, OldestMS: 200000, Workers: 1, Paused: true, Done: 8},
		{Name: "nobody\x1b[2J", Queued: 1, OldestMS: 45200},
	}
}

func fakeWorkers() []adminapi.Worker {
	return []adminapi.Worker{
		{Worker: "00000000000000c1", Label: "blue", Host: "web-3", Process: 4711, Version: "1.4.2", Address: "10.0.0.7:41234", Dialect: "prv1", State: "up", Services: []string{"hash"}, Credit: 2, Running: 2, BusyMS: 1500, SeenMS: 120,
			Requests: []string{knownID, freshID}},
		{Worker: "00000000000000c2", Host: "web\u202e-4", Process: 12, Dialect: "prv1", State: "suspected", Services: []string{"hash", "mail"}, Running: 1, BusyMS: 93784000, SeenMS: 2900,
			Requests: []string{deadID}},
		{Worker: "00000000000000c3", Dialect: "mdp02", State: "up", Services: []string{"idle"}, Credit: 1, SeenMS: 7, Requests: []string{}},
	}
}

func fakeRequests() adminapi.Requests {
	return adminapi.Requests{More: true, Requests: []adminapi.Request{
		{ID: knownID, Service: "mail", State: "queued", AgeMS: 200_000, LeftMS: 100_000, Clients: 1},
		{ID: freshID, Service: "hash\x1b[2J", State: "assigned", AgeMS: 3200, LeftMS: 26_800, Attempt: 2, Worker: "00000000000000c1", HeldMS: 1500, Started: true},
	}}
}

func fakeWhy() adminapi.Why {
	step := func(ago time.Duration, what, text string) adminapi.Step {
		return adminapi.Step{At: fakeNow.Add(-ago), AgoMS: ago.Milliseconds(), What: what, Text: text}
	}
	return adminapi.Why{
		ID: knownID, Answer: "It has waited 3.2s in the queue of hash, behind 2 others: all 2 live workers are busy.",
		State: "queued", Service: "hash", Attempt: 1, AgeMS: 65000, LeftMS: 20000, Behind: 2, Clients: 1,
		Steps: []adminapi.Step{
			step(65*time.Second, "accepted", "accepted"),
			step(64*time.Second+999*time.Millisecond, "handed_out", "handed to worker 00000000000000c9 as attempt 1"),
			step(3200*time.Millisecond, "lost", "worker 00000000000000c9 was lost"),
		},
	}
}

func fakeDead(whole bool) []adminapi.DeadLetter {
	list := []adminapi.DeadLetter{
		{ID: deadID, Service: "hash", Code: "WORKER_LOST", Reason: "3 workers were lost with it", Attempts: 3,
			Workers: []string{"00000000000000c7", "00000000000000c8", "00000000000000c9"},
			Since:   fakeNow.Add(-4 * time.Hour), AgeMS: 4 * 3600_000, Bytes: 18},
		{ID: knownID, Service: "mail", Code: "FAILED", Reason: "gave up\nafter this", Attempts: 12, Workers: []string{},
			Since: fakeNow.Add(-time.Minute), AgeMS: 60_000, Bytes: 1048576},
	}
	if whole {
		list[0].Frames = []string{"c29tZSAidGV4dCIK", "AAH/", ""}
	}
	return list
}
