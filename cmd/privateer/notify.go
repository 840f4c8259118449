package main

import (
	"context"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/broker"
)

// watchdogShare is how often in each interval of the watchdog it is told that
// the broker lives: one answer may come late.
const watchdogShare = 3

// tellSystemd tells the service manager that started this process, if one did
// (NOTIFY_SOCKET), when the broker is ready and when it drains, and keeps its
// watchdog quiet (WATCHDOG_USEC). The returned function ends that; it is called
// after b.Run has returned.
func tellSystemd(b *broker.Broker, log zerolog.Logger) (end func()) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn().Err(err).Msg("no watchdog: WATCHDOG_USEC or WATCHDOG_PID in the environment is wrong")
	}
	tell := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn().Err(err).Str("state", state).Msg("the service manager cannot be told: see NOTIFY_SOCKET in the environment")
		}
	}
	return follow(b, every/watchdogShare, tell)
}

// follow tells what becomes of b. Every so often, unless that is 0, it asks the
// broker's loop how things stand, and only an answer is worth a WATCHDOG=1: a
// loop that is stuck answers nothing, whatever else still runs in this process.
func follow(b *broker.Broker, every time.Duration, tell func(string)) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() {
		if until(ctx, b.Ready()) {
			tell(daemon.SdNotifyReady)
			if until(ctx, b.Draining()) {
				tell(daemon.SdNotifyStopping)
			}
		}
	})
	both.Go(func() {
		if every <= 0 || !until(ctx, b.Ready()) {
			return
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for until(ctx, tick.C) {
			if _, err := b.Stats(); err != nil {
				return // it has ended
			}
			tell(daemon.SdNotifyWatchdog)
		}
	})
	return func() {
		cancel()
		both.Wait()
	}
}

// until waits for an event, and reports whether it came before the end of ctx.
func until[T any](ctx context.Context, event <-chan T) bool {
	select {
	case <-event:
		return true
	case <-ctx.Done():
	}
	select { // of two that have come, Go draws one
	case <-event:
		return true
	default:
		return false
	}
}
