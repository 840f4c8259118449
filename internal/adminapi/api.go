// Package adminapi is the JSON of a broker's admin listener: what package broker
// answers, the command line asks, and the web page draws. openapi.json
// describes it; a test holds the two together.
//
// Times are whole milliseconds; "ago" and "age" count back from now. Ids of
// requests are UUIDs, workers are named by 16 hexadecimal digits.
package adminapi

import (
	"strconv"
	"time"
)

// Prefix is where the API begins.
const Prefix = "/api/v1"

// Header must be in every call that changes something, with any value: no page
// of another origin can set it.
const Header = "X-Privateer"

// A Status is how a broker stands, as a whole.
type Status struct {
	Version   string    `json:"version"`
	Commit    string    `json:"commit"`
	Epoch     string    `json:"epoch"`
	Started   time.Time `json:"started"`
	UptimeMS  int64     `json:"uptime_ms"`
	Draining  bool      `json:"draining"`
	Frontends []string  `json:"frontends"`
	Backends  []string  `json:"backends"`

	Open        int   `json:"open"` // requests without an outcome
	Queued      int   `json:"queued"`
	Running     int   `json:"running"` // held by workers
	OldestMS    int64 `json:"oldest_ms"`
	Workers     int   `json:"workers"`
	Services    int   `json:"services"`
	DeadLetters int   `json:"dead_letters"`
	IDs         int   `json:"ids"`
	QueueBytes  int64 `json:"queue_bytes"`
	ReplayBytes int64 `json:"replay_bytes"`

	Outcomes    map[string]uint64 `json:"outcomes"` // requests ended, by code
	Refused     map[string]uint64 `json:"refused"`  // requests not taken in, by code
	Drops       map[string]uint64 `json:"drops"`    // messages not used, by reason
	Redelivered uint64            `json:"redelivered"`
	WorkersLost uint64            `json:"workers_lost"`
	LoopLagMS   float64           `json:"loop_lag_ms"` // worst of the last ten seconds
	Busy        float64           `json:"busy"`        // part of the last ten seconds, 0 to 1
}

// StoodStill reports whether the loop was held up while it had little to do: then it
// was not the broker that was slow, but its machine that did not let it run.
func (s *Status) StoodStill() bool { return s.LoopLagMS >= 100 && s.Busy < 0.5 }

// A Service is one service and its queue.
type Service struct {
	Name     string `json:"name"`
	Queued   int    `json:"queued"`
	OldestMS int64  `json:"oldest_ms"` // age of the oldest that waits; 0: none does
	Running  int    `json:"running"`
	Workers  int    `json:"workers"` // live
	Paused   bool   `json:"paused"`
	Done     uint64 `json:"done"` // requests ended, of any outcome
	Failed   uint64 `json:"failed"`

	RunMS       int64  `json:"run_ms"`     // how long a worker has had what it has had for longest; 0: nothing runs
	RunID       string `json:"run_id"`     // ... its id
	RunWorker   string `json:"run_worker"` // ... and its worker
	RunP99MS    int64  `json:"run_p99_ms"` // what 99 of 100 runs did not exceed, to within a factor of 2; 0: too few have ended
	HangAfterMS int64  `json:"hang_after_ms"`
	Hanging     bool   `json:"hanging"` // run_ms is above hang_after_ms

	RecentDone   int  `json:"recent_done"`   // ended in the last five minutes, those aside that were cancelled
	RecentFailed int  `json:"recent_failed"` // ... with another outcome than OK
	Failing      bool `json:"failing"`       // three of them or more, and more than one in twenty
}

// Troubles says in a few words what is wrong with a service; empty: nothing.
func (s *Service) Troubles() (list []string) {
	for _, t := range []struct {
		is   bool
		word string
	}{{s.Paused, "paused"}, {!s.Paused && s.Workers == 0 && s.Queued > 0, "no workers"}, {s.Hanging, "hanging"}, {s.Failing, "failing"}} {
		if t.is {
			list = append(list, t.word)
		}
	}
	return list
}

// A Worker is one registered worker.
type Worker struct {
	Worker   string   `json:"worker"`
	Label    string   `json:"label,omitempty"`   // what its people call it; this and the next three it says itself
	Host     string   `json:"host,omitempty"`    // the name of its machine
	Process  uint32   `json:"process,omitempty"` // the number of its process
	Version  string   `json:"version,omitempty"` // of its program
	Address  string   `json:"address,omitempty"` // that its connection comes from, where the transport knows
	Dialect  string   `json:"dialect"`
	State    string   `json:"state"` // joining, registered, up, draining, suspected, link reset
	Services []string `json:"services"`
	Credit   int      `json:"credit"`
	Running  int      `json:"running"`
	BusyMS   int64    `json:"busy_ms"`  // since it was given the oldest that it holds; 0: it holds none
	SeenMS   int64    `json:"seen_ms"`  // since its last message
	Requests []string `json:"requests"` // ids of what it holds, at most 8: what it was given first comes first
}

// Name is what people know a worker by: its label, or its machine and process; ""
// if it has said neither.
func (w *Worker) Name() string {
	if w.Label != "" || w.Host == "" {
		return w.Label
	}
	return w.Host + ":" + strconv.FormatUint(uint64(w.Process), 10)
}

// Requests are open requests, the oldest first, at most 1,000.
type Requests struct {
	Requests []Request `json:"requests"`
	More     bool      `json:"more"` // there are others, or there may be: ask for one service or state
}

// A Request is one that has no outcome yet.
type Request struct {
	ID      string `json:"id"`
	Service string `json:"service"` // may be empty, while only a worker has named it
	State   string `json:"state"`   // one of RequestStates
	AgeMS   int64  `json:"age_ms"`  // since it was accepted
	LeftMS  int64  `json:"left_ms"` // of its deadline
	Attempt int    `json:"attempt"` // 0: it was never handed out
	Worker  string `json:"worker"`  // that holds it; empty: none
	HeldMS  int64  `json:"held_ms"` // since its worker has it
	Started bool   `json:"started"` // ... and has said that it runs
	Clients int    `json:"clients"` // that wait for it
}

// RequestStates are the states of open requests.
const RequestStates = "queued, backoff, waiting, assigned, kept or orphan"

// IsRequestState reports whether a word is one of them.
func IsRequestState(word string) bool {
	switch word {
	case "queued", "backoff", "waiting", "assigned", "kept", "orphan":
		return true
	}
	return false
}

// A Why is the story of one request: where it is, why it is not done, and what
// has happened to it as far as this broker remembers.
type Why struct {
	ID        string `json:"id"`
	Answer    string `json:"answer"` // in one sentence
	State     string `json:"state"`  // queued, backoff, waiting, assigned, kept, orphan, done, forgotten
	Service   string `json:"service,omitempty"`
	Code      string `json:"code,omitempty"` // done: its outcome
	Certainty string `json:"certainty,omitempty"`
	Attempt   int    `json:"attempt,omitempty"`
	Worker    string `json:"worker,omitempty"`
	Name      string `json:"worker_name,omitempty"` // what people know that worker by
	AgeMS     int64  `json:"age_ms,omitempty"`
	LeftMS    int64  `json:"left_ms,omitempty"`
	Behind    int    `json:"behind,omitempty"`
	Clients   int    `json:"clients,omitempty"` // that wait for it
	Dead      bool   `json:"dead_letter,omitempty"`
	Steps     []Step `json:"steps"`
}

// A Step is one thing that happened to a request.
type Step struct {
	At      time.Time `json:"at"`
	AgoMS   int64     `json:"ago_ms"`
	What    string    `json:"what"` // a stable word, as in the log's "state"
	Text    string    `json:"text"` // in words
	Worker  string    `json:"worker,omitempty"`
	Attempt int       `json:"attempt,omitempty"`
	Code    string    `json:"code,omitempty"`
}

// A Failure is one request that ended with another code than OK.
type Failure struct {
	At      time.Time `json:"at"`
	ID      string    `json:"id"`
	Service string    `json:"service"`
	Code    string    `json:"code"`
	Reason  string    `json:"reason"`
}

// A DeadLetter is a request that was given up.
type DeadLetter struct {
	ID       string    `json:"id"`
	Service  string    `json:"service"`
	Code     string    `json:"code"`
	Reason   string    `json:"reason"`
	Attempts int       `json:"attempts"`
	Workers  []string  `json:"workers"` // that it took down, oldest first
	Since    time.Time `json:"since"`
	AgeMS    int64     `json:"age_ms"`
	Bytes    int       `json:"bytes"`
	Frames   []string  `json:"frames,omitempty"` // base64; of one alone, not in the list
}

// A Requeued tells the new id of a dead letter that was queued again.
type Requeued struct {
	ID string `json:"id"`
}

// A Cancelled tells how many requests of a service were withdrawn.
type Cancelled struct {
	Cancelled int  `json:"cancelled"`
	More      bool `json:"more"` // others are open: call again
}

// A LogLevel is the least level that is logged.
type LogLevel struct {
	Level string `json:"level"`
}

// An Error is the answer to a call that could not be done.
type Error struct {
	Code    string `json:"code"` // stable; below
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// The codes of errors.
const (
	CodeNotFound     = "not_found"    // no such path, request, service or dead letter
	CodeBadRequest   = "bad_request"  // the path's id or the body cannot be read
	CodeTooLarge     = "too_large"    // the body is over 4 KiB
	CodeUnauthorized = "unauthorized" // the token is missing or wrong
	CodeForbidden    = "forbidden"    // the header X-Privateer is missing, or the Host is another's
	CodeMethod       = "method"       // the path has not this method
	CodeNoRoom       = "no_room"      // the broker's queue is full
	CodeNotRunning   = "not_running"  // the broker has stopped, or not started
)
