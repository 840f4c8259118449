// Command chaos does harm to real processes and proves that nothing is lost:
// a broker, workers and clients under load are killed, frozen, drained and cut
// off by a seeded schedule, everybody writes down what happens, and a judge
// reads it afterwards. Type "chaos help".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
)

// commit is set when make builds the command.
var commit = "unknown"

// errInvalid says that a run was played and is not valid. It has been printed.
var errInvalid = errors.New("not valid")

// commands are what the first argument can be. The last four are the
// processes that a run starts.
var commands = map[string]func(ctx context.Context, args []string) error{
	"run":    runCommand,
	"check":  checkCommand,
	"help":   helpCommand,
	"broker": brokerRole,
	"worker": workerRole,
	"client": clientRole,

	"attacker": attackerRole,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, helpText())
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := commands[os.Args[1]](ctx, os.Args[2:])
	stop()
	var code exitCode
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errInvalid):
		os.Exit(1)
	case errors.As(err, &code):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(int(code))
	default:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	}
}

// An exitCode is an error that ends the process with a code of its own.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit %d", int(c)) }

// exitUnacknowledged is how a worker ends that leaves replies behind which no
// broker has acknowledged.
const exitUnacknowledged exitCode = 3

// checkCommand judges the histories of a run that was played before.
func checkCommand(_ context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: chaos check DIR")
	}
	r, err := judge(args[0])
	if err != nil {
		return err
	}
	report(r)
	if !r.Valid {
		return errInvalid
	}
	return nil
}

// judge reads the histories in dir and stores the result beside them.
func judge(dir string) (*history.Result, error) {
	events, crashes, err := history.Read(dir)
	if err != nil {
		return nil, err
	}
	r := history.Check(events, crashes)
	return r, r.Store(dir)
}

// violationsShown bounds what is printed of them; result.json has more.
const violationsShown = 20

// report prints the line to stdout, and to stderr what is behind it.
func report(r *history.Result) {
	for _, list := range [][]string{r.Problems, r.Crashes, r.Violations[:min(len(r.Violations), violationsShown)]} {
		for _, s := range list {
			fmt.Fprintln(os.Stderr, "  "+s)
		}
	}
	fmt.Println(r.Line())
}
