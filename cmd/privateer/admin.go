package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// progressEvery is how often a command that takes long says what it waits for.
const progressEvery = time.Second

// adminCommands are the commands that ask a broker's admin listener.
type adminCommands struct {
	Top      topCommand      `cmd:"" group:"With a broker's --admin:" help:"Watch services and workers, in the terminal."`
	Services servicesCommand `cmd:"" group:"With a broker's --admin:" help:"List the services, their queues and workers."`
	Workers  workersCommand  `cmd:"" group:"With a broker's --admin:" help:"List the workers, and what they are at."`
	Requests requestsCommand `cmd:"" group:"With a broker's --admin:" help:"List the open requests: their ids, how old they are, and who has them."`
	Why      whyCommand      `cmd:"" group:"With a broker's --admin:" help:"Tell where a request is, why it is not done, and what has happened to it."`
	Dead     deadCommand     `cmd:"" group:"With a broker's --admin:" help:"List dead letters, look at one, queue it again or drop it."`
	Cancel   cancelCommand   `cmd:"" group:"With a broker's --admin:" help:"Withdraw a request that is not done, or all of a service."`
	Pause    pauseCommand    `cmd:"" group:"With a broker's --admin:" help:"Make the requests of a service wait."`
	Resume   resumeCommand   `cmd:"" group:"With a broker's --admin:" help:"Hand the requests of a paused service out again."`
	Drain    drainCommand    `cmd:"" group:"With a broker's --admin:" help:"Tell a broker to finish what it holds, and to end."`
	LogLevel logLevelCommand `cmd:"" group:"With a broker's --admin:" help:"Print or change the level that a broker logs at."`
	Check    checkCommand    `cmd:"" group:"With a broker's --admin:" help:"Compare a broker with limits, for monitoring and health checks."`
}

// adminTarget are the flags that say which admin listener is asked, and how.
type adminTarget struct {
	common

	Admin     string   `default:"127.0.0.1:5580" shared:"PRIVATEER_ADMIN" placeholder:"HOST:PORT" help:"The broker's admin listener (privateer broker --admin), HOST:PORT or an http URL. Default: 127.0.0.1:5580."`
	TokenFile string   `shared:"PRIVATEER_TOKEN_FILE" placeholder:"FILE" help:"A file with the token that the admin listener asks for."`
	Timeout   duration `default:"5s" help:"How long to wait for an answer."`
}

// adminFlags are the flags of the commands that print what the API answers.
type adminFlags struct {
	adminTarget

	JSON bool `help:"Print the JSON of the admin API."`
}

// client makes the client; an error is one of usage.
func (a *adminTarget) client() (*adminapi.Client, error) {
	token, err := readToken(a.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	c, err := adminapi.New(a.Admin, token)
	if err != nil {
		return nil, fmt.Errorf("--admin: %w", err)
	}
	c.Timeout = time.Duration(a.Timeout)
	return c, nil
}

func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return adminapi.ReadToken(path)
}

// ask makes calls of the admin API until do returns, and says what went wrong.
// A signal ends it.
func (a *adminTarget) ask(do func(context.Context, *adminapi.Client) error) error {
	c, err := a.client()
	if err != nil {
		return usage(err)
	}
	ctx, stop := untilSignal(func() {}, func() { os.Exit(exitFailed) })
	defer stop()
	quiet := sayWaiting(c.Target())
	err = do(ctx, c)
	quiet()
	return adminError(ctx, err)
}

// adminError adds the exit code: 1 the broker has refused, 4 it does not answer.
func adminError(ctx context.Context, err error) error {
	var said *adminapi.Error
	var e *exit
	switch {
	case err == nil || errors.As(err, &e):
		return err
	case ctx.Err() != nil:
		return errors.New("stopped")
	case errors.As(err, &said) && said.Code == adminapi.CodeUnauthorized:
		return fmt.Errorf("%w; give it with --token-file", err)
	case errors.As(err, &said):
		return err
	}
	return &exit{exitNotStarted, err}
}

// sayWaiting says on stderr every second that an answer is waited for, until
// the function that it returns is called.
func sayWaiting(target string) (quiet func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for start := time.Now(); ; {
			select {
			case <-tick.C:
				fmt.Fprintf(os.Stderr, "waiting for %s, %s\n", oneLine(target), human(time.Since(start).Round(time.Second)))
			case <-over:
				return
			}
		}
	}()
	return func() {
		close(over)
		<-done
	}
}

// show prints what the broker has answered: as JSON, or as text writes it.
func (a *adminFlags) show(v any, text func(io.Writer) error) error {
	var err error
	if a.JSON {
		err = writeJSON(os.Stdout, v)
	} else {
		err = text(os.Stdout)
	}
	if err != nil {
		return &exit{exitFailed, fmt.Errorf("cannot write to stdout: %w", err)}
	}
	return nil
}

// say prints what has been done; the API answers such calls with nothing.
func (a *adminFlags) say(format string, args ...any) error {
	return a.show(struct{}{}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, oneLine(fmt.Sprintf(format, args...)))
		return err
	})
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
