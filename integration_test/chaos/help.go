package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
)

func helpCommand(context.Context, []string) error {
	fmt.Print(helpText())
	return nil
}

func helpText() string {
	var b strings.Builder
	b.WriteString(`chaos does harm to real processes under load, and judges what came of it.

  chaos run [flags]    play scenarios; one line for each; "chaos run -h" lists the flags
  chaos check DIR      judge the histories of a run again
  chaos help           print this

Exit code 0: valid; 1: not valid; 2: it could not be played.

Scenarios (all: each of them; ci: those marked *)

`)
	for i := range scenarios {
		s := &scenarios[i]
		mark := ' '
		if s.ci {
			mark = '*'
		}
		fmt.Fprintf(&b, "%c %-14s %s\n", mark, s.name, s.text)
	}
	b.WriteString("\nThe line\n\n" + history.Words + "\n")
	return b.String()
}
