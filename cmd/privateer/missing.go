package main

import (
	"sync"

	"github.com/rs/zerolog"
)

// What a shell exits with of a program that is there and cannot be executed, and of
// one that is not there.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
	missingMax        = 3 // such ends in a row are worth a line
)

// missing looks for a COMMAND that is a shell, or another program around the one that
// is meant, which it does not find. That is an exit status as any other, and FAILED,
// for nobody else can tell what the shell did before; but people should hear of a worker that
// fails all it takes. It is safe for concurrent use.
type missing struct {
	log zerolog.Logger

	mu  sync.Mutex
	row int // of such ends
}

// ended says how a run has ended: its exit code, or -1 of a signal.
func (m *missing) ended(code int, stderr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if code != exitNotExecutable && code != exitNotFound {
		m.row = 0
		return
	}
	if m.row++; m.row != missingMax {
		return
	}
	e := m.log.Warn().Str("state", "exit-missing").Int("exit_code", code)
	if stderr != "" {
		e = e.Str("stderr", stderr)
	}
	e.Msg("the last 3 runs of COMMAND have ended with 126 or 127: a shell says so of a program that is not executable, or not there, and each such request is FAILED. " +
		"Check what COMMAND calls and its PATH, or let it \"exit 75\" for a request that is to be handed out again. Without a shell the worker itself sees that a program cannot be started, and hands its requests on")
}
