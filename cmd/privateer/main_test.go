package main

import (
	"flag"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts that compare it")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"privateer": main})
}

// TestScripts plays testdata/script: each is a story of commands, what they
// print and how they exit. Their own commands are in script_test.go.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(12 * patience), // for all of them, on a machine that does much else
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"fails":  fails,
			"start":  start,
			"signal": signalTo,
			"saw":    saw,
			"await":  await,
			"gone":   gone,

			"admin":     admin,
			"website":   website,
			"listening": listening,
		},
		Setup: func(e *testscript.Env) error {
			e.Values[processesKey{}] = make(map[string]*process)
			// Under -race each process would sleep a second before it ends.
			e.Setenv("GORACE", "halt_on_error=1 atexit_sleep_ms=0")
			return nil
		},
	})
}
