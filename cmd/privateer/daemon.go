package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/cmd/privateer/internal/lines"
)

const (
	lastLines  = time.Second            // how long the end waits for the last lines of the log
	hastyLines = 100 * time.Millisecond // the same, once it is to end at once
)

// daemonFlags are those of commands that run until they are told to end.
type daemonFlags struct {
	common

	LogFile string `placeholder:"FILE" help:"Append the log to this file instead of writing it to stderr. SIGHUP opens it anew: rename it, then send that."`
}

// A daemonLog is the log of a daemon. Whoever reads it may stand still or be gone:
// that is never waited for. Lines are lost then, and counted.
type daemonLog struct {
	zerolog.Logger
	lines *lines.Writer
	path  string // of the file; "" is stderr
}

// open begins the log, and lets this process outlive whoever reads what it writes.
func (c *daemonFlags) open() (*daemonLog, error) {
	// Go ends a process that writes to a stderr which nobody reads any more, unless
	// somebody asks for the signal. It is not ignored, for COMMANDs would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	l := &daemonLog{path: c.LogFile}
	out, err := l.reopen()
	if err != nil {
		return nil, usage(fmt.Errorf("--log-file: %w", err))
	}
	terminal := isTerminal(out)
	l.lines = lines.New(out, func(w io.Writer, n uint64) {
		log := c.loggerTo(w, terminal)
		log.Warn().Str("state", "log-lost").Uint64("lines", n).
			Msg("lines of the log are missing here: it could not be written, or not as fast as it came")
	})
	l.Logger = c.loggerTo(l.lines, terminal)
	return l, nil
}

// reopen opens the file anew; without one the log goes to stderr.
func (l *daemonLog) reopen() (*os.File, error) {
	if l.path == "" {
		return os.Stderr, nil
	}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("%s: %w: name a file that this user can write to", l.path, err)
	}
	return f, nil
}

// hup is what SIGHUP does.
func (l *daemonLog) hup() {
	if l.path == "" {
		l.Info().Str("state", "hup").Msg("SIGHUP: nothing to open anew, the log goes to stderr; see --log-file")
		return
	}
	out, err := l.reopen()
	if err != nil {
		l.Error().Err(err).Str("state", "hup").Msg("SIGHUP: the log file cannot be opened anew; the log goes on where it was")
		return
	}
	l.lines.To(out)
	l.Info().Str("state", "hup").Msg("SIGHUP: log file opened anew")
}

// end waits a moment for the last lines to be written.
func (l *daemonLog) end() { l.lines.Flush(lastLines) }

// untilSignal is untilSignal for a daemon: it says that it drains; a second signal
// calls again and ends the process; and SIGHUP ends nothing. What it was started
// with an ignore of, as by nohup, stays ignored.
func (l *daemonLog) untilSignal(again func()) (ctx context.Context, stop func()) {
	hup := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(hup, syscall.SIGHUP)
	}
	over := make(chan struct{})
	go func() {
		for {
			select {
			case <-hup:
				l.hup()
			case <-over:
				return
			}
		}
	}()
	ctx, end := untilSignal(func() {
		l.Info().Str("state", "signalled").Msg("finishing what is held; a second signal ends at once")
	}, func() {
		again()
		l.Warn().Str("state", "ended").Msg("second signal: ending at once")
		l.lines.Flush(hastyLines)
		os.Exit(exitFailed)
	})
	return ctx, func() {
		end()
		close(over) // SIGHUP stays harmless to the end
	}
}
