package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/cmd/privateer/internal/doctor"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// lookTime bounds a look at an endpoint where no broker answers.
const lookTime = 2 * time.Second

// whyNot says what is known of an endpoint where no broker answers, and what to type
// for more. Endpoints that the doctor does not examine have nothing to be said of.
func whyNot(ctx context.Context, endpoint string, role doctor.Role) (known, try string) {
	report, err := doctor.Check(ctx, doctor.Config{Endpoint: endpoint, Role: role, Timeout: lookTime})
	if err != nil || ctx.Err() != nil {
		return "", ""
	}
	try = "privateer doctor " + endpoint
	if role == doctor.Worker {
		try = "privateer doctor --role worker " + endpoint
	}
	if report.Failed == "" {
		return "it answers now", try
	}
	return report.Verdict(), try
}

// joinWaits are when a worker looks at a broker that it has not joined; then the last
// of them again and again.
var joinWaits = []time.Duration{3 * time.Second, 10 * time.Second, time.Minute, 10 * time.Minute}

// A joining watches which brokers a worker has joined, and says of the others why
// not, as far as it can be seen from here.
type joining struct {
	log    zerolog.Logger
	mu     sync.Mutex
	joined map[string]bool
	lost   map[string]time.Time // when it was joined last
}

func (j *joining) hooks() worker.Hooks {
	set := func(broker string, is bool) {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.joined[broker] {
			j.lost[broker] = time.Now()
		}
		j.joined[broker] = is
	}
	return worker.Hooks{
		Joined: func(broker string) { set(broker, true) },
		Lost:   func(broker, _ string) { set(broker, false) },
	}
}

// away reports whether a broker is not joined, and when it was last; zero: never.
func (j *joining) away(broker string) (is bool, last time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !j.joined[broker], j.lost[broker]
}

// watch looks at one broker until ctx ends. A broker that was joined and lost is one
// that is not joined, from the beginning.
func (j *joining) watch(ctx context.Context, broker string) {
	for n, since := 0, time.Now(); ; {
		if !pause(ctx, time.Until(since.Add(joinWaits[min(n, len(joinWaits)-1)]))) {
			return
		}
		away, last := j.away(broker)
		switch {
		case !away:
			n, since = 0, time.Now()
			continue
		case last.After(since): // joined meanwhile, and lost since: a moment without is nothing to look at
			n, since = 0, last
			continue
		}
		known, try := whyNot(ctx, broker, doctor.Worker)
		if away, _ = j.away(broker); ctx.Err() != nil || !away {
			continue
		}
		ev := j.log.Warn().Str("state", "not joined").Str("broker", broker)
		if known != "" {
			ev.Str("known", oneLine(known)).Str("try", try)
		}
		ev.Msg("not registered with this broker")
		if n++; n >= len(joinWaits) {
			since = time.Now()
		}
	}
}

// sayWhyNot says on stderr, after an outcome that names no broker, what is known of
// each that was asked.
func sayWhyNot(ctx context.Context, o outcome, brokers []string) {
	if o.code != protocol.Unreachable && o.code != protocol.Unknown {
		return
	}
	for _, endpoint := range brokers {
		if known, try := whyNot(ctx, endpoint, doctor.Client); known != "" {
			fmt.Fprintf(os.Stderr, "%s: %s Try: %s\n", oneLine(endpoint), strings.TrimSuffix(oneLine(known), ".")+".", try)
		}
	}
}
