package history

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// ResultFile is where Store puts a result.
const ResultFile = "result.json"

// A Result is what the judge found. Words says what each count means.
type Result struct {
	Parameters

	Attempted    int `json:"attempted"`
	Acknowledged int `json:"acknowledged"`
	OK           int `json:"ok"`
	Failed       int `json:"failed"`
	Rejected     int `json:"rejected"`
	Expired      int `json:"expired"`
	Unknown      int `json:"unknown"`
	Cancelled    int `json:"cancelled"`

	Lost         int `json:"lost"`
	RepeatedRuns int `json:"repeated_runs"`
	WrongReply   int `json:"wrong_reply"`
	LateStart    int `json:"late_start"`
	Hung         int `json:"hung"`

	Runs            int `json:"runs"`             // starts of handlers
	ExplainedReruns int `json:"explained_reruns"` // runs beyond the first that a fault explains

	Faults           map[string]int `json:"faults"` // by kind and role: "kill worker"
	Recoveries       int            `json:"recoveries"`
	MedianRecoveryMS int            `json:"median_recovery_ms"`
	MaxRecoveryMS    int            `json:"max_recovery_ms"`
	P99MS            int            `json:"p99_ms"`
	SettleMS         int            `json:"settle_ms"` // from the end of the last fault to the last outcome of what was asked before
	PeakRSSMiB       int            `json:"peak_rss_mib"`
	FDLeak           int            `json:"fd_leak"`
	GoroutineLeak    int            `json:"goroutine_leak"`
	DurationMS       int            `json:"duration_ms"`
	Counters         map[string]int `json:"counters,omitempty"` // of an attacked broker, at last

	Unacknowledged int `json:"unacknowledged"` // workers that ended with replies that no broker had taken

	// Violations describe each thing that was counted as one, Crashes each
	// process that ended by itself, and Problems why the run proves nothing.
	Violations []string `json:"violations,omitempty"`
	Crashes    []string `json:"crashes,omitempty"`
	Problems   []string `json:"problems,omitempty"`

	Valid bool `json:"valid"`
}

// Line is the result in one line.
func (r *Result) Line() string {
	return fmt.Sprintf("chaos: scenario=%s seed=%d attempted=%d acknowledged=%d ok=%d failed=%d rejected=%d expired=%d unknown=%d"+
		" | lost=%d repeated-runs=%d wrong-reply=%d late-start=%d hung=%d"+
		" | max-recovery-ms=%d p99-ms=%d peak-rss-mib=%d fd-leak=%d goroutine-leak=%d | valid=%t",
		r.Scenario, r.Seed, r.Attempted, r.Acknowledged, r.OK, r.Failed, r.Rejected, r.Expired, r.Unknown,
		r.Lost, r.RepeatedRuns, r.WrongReply, r.LateStart, r.Hung,
		r.MaxRecoveryMS, r.P99MS, r.PeakRSSMiB, r.FDLeak, r.GoroutineLeak, r.Valid)
}

// Store writes the result into dir, as JSON.
func (r *Result) Store(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ResultFile), append(text, '\n'), 0o644)
}

// conclude sets Valid.
func (r *Result) conclude() {
	faults := 0
	for _, n := range r.Faults {
		faults += n
	}
	if faults == 0 {
		r.Problems = append(r.Problems, "no fault happened: nothing was tested")
	}
	if r.OK == 0 {
		r.Problems = append(r.Problems, "no request ended OK: nothing was tested")
	}
	r.Valid = r.Lost == 0 && r.RepeatedRuns == 0 && r.WrongReply == 0 && r.LateStart == 0 && r.Hung == 0 &&
		r.FDLeak == 0 && r.GoroutineLeak == 0 && len(r.Crashes) == 0 && len(r.Problems) == 0
}

// Words defines what the line of a result says.
const Words = `attempted        requests that clients have begun to ask for
acknowledged     requests that were sent and have an outcome that only a broker
                 can give then: any but CANCELLED, UNKNOWN and UNREACHABLE,
                 which a client can also come to by itself
ok               outcome OK
failed           outcome FAILED, TIMEOUT, WORKER_LOST or GONE
rejected         outcome OVERLOADED, NO_SERVICE, DRAINING, DENIED or INVALID
expired          outcome EXPIRED
unknown          outcome UNKNOWN or UNREACHABLE: no broker could say. (Outcome
                 CANCELLED is in attempted only; result.json has its number.)

lost             at-least-once requests of living clients, with generous time,
                 that ended, and not OK (unless withdrawn or rejected); short
                 ones that ended in a way that neither their deadline nor an
                 absent broker explains; and OKs for which no run is recorded
repeated-runs    runs of an id beyond its first that nothing explains. At least
                 once, a rerun is explained when the worker of an earlier run
                 was, since that began and before the rerun: killed; frozen for
                 liveness, less the one heartbeat that may just be due; cut off
                 or disturbed on its link by the proxy; or drained, with the
                 run handed back or its reply not acknowledged. Or when a broker
                 ended since, and the worker was out of reach between that and
                 the end of the next broker's recovery window. Or when it was
                 handed out first, and a freeze of its worker, long enough, lay
                 between that and its first step: one run for each freeze. At
                 most once, nothing explains a second start
wrong-reply      OKs whose body is not the digest of the request and its id, and
                 outcomes that are untrue: not-started though a run is recorded,
                 or ran though none is
late-start       runs that began after the request's deadline and 250 ms. The
                 time that its client or the broker was frozen since it was
                 asked is added, and what the proxy held its links up for. One
                 run for each freeze of its worker is excused that this caught
                 before its first step
hung             requests of living clients whose outcome came later than their
                 deadline, a heartbeat, 250 ms, the time the client itself was
                 frozen, and one second for a loaded machine; or never; and
                 withdrawn ones that did not return in 250 ms and as much

max-recovery-ms  longest time from a worker's SIGKILL to the next start of a
                 request that it was running, where there was one
p99-ms           time that 99 of 100 requests that ended OK did not exceed
peak-rss-mib     the largest resident set that any broker had
fd-leak          open files at the end, idle, beyond what the same processes had
                 before the load, idle, and a tolerance; all processes together
goroutine-leak   goroutines, likewise

valid            true if what an attacked broker must hold to held, if none of lost, repeated-runs, wrong-reply, late-start and
                 hung happened, nothing leaked, no process crashed, and there
                 were faults and requests that ended OK`
